package extract

import (
	"cmp"
	"slices"
	"testing"
	"time"
)

func TestNamedLimits(t *testing.T) {
	t.Parallel()
	for message, want := range map[string][]namedLimit{
		"20 requests per second":                                          {{20, time.Second}},
		"You may make 10 times per minute.":                               {{10, time.Minute}},
		"too many: 600 calls in 60 seconds":                               {{600, time.Minute}},
		"at most 100 requests per 10 seconds, and 5000 requests per hour": {{100, 10 * time.Second}, {5000, time.Hour}},
		"limited to 20 req/s":                                             {{20, time.Second}},
		"rate limit 10/min exceeded":                                      {{10, time.Minute}},
		"The throttling threshold has been reached: policy user over ratelimit,limit:20,time:1 minute": {{20, time.Minute}},
		"the per-minute limit of 10 is reached":                                                        {{10, time.Minute}},
		"exceeds the QPS limit: 20":                                                                    {{20, time.Second}},
		"more than 50 QPS":                                                                             {{50, time.Second}},
		"Your current request times equals to `21` in a second, which exceeds the frequency limit `20` for a second. Please try later.": {{20, time.Second}},
		"您当前每秒请求 `21` 次，超过了每秒频率上限 `20` 次，请稍后重试。":                                                                                        {{20, time.Second}},
		"每分钟最多10次":         {{10, time.Minute}},
		"流控限制为20次/秒":       {{20, time.Second}},
		"1分钟内不能超过 30 次请求":  {{30, time.Minute}},
		"单用户API每秒最多调用100次": {{100, time.Second}},

		"": nil, "Too many requests": nil, "Request was denied due to user flow control.": nil,
		"try again in 5 seconds": nil, "please retry after 30 seconds": nil, "请在30秒后重试": nil, "请5分钟后重试": nil,
		"answered 429 after 3 minutes": nil, "request 12345 at 2026-03-14 12:00:00": nil,
	} {
		got := namedLimits(message)
		slices.SortFunc(got, func(a, b namedLimit) int { return cmp.Compare(a.per, b.per) })
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", message, got, want)
		}
	}
}

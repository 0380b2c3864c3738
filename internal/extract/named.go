package extract

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A namedLimit is a limit of calls that a message names.
type namedLimit struct {
	calls float64
	per   time.Duration
}

var (
	limitUnits = map[string]time.Duration{
		"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second, "秒": time.Second, "秒钟": time.Second,
		"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute, "分": time.Minute, "分钟": time.Minute,
		"h": time.Hour, "hour": time.Hour, "hours": time.Hour, "小时": time.Hour,
	}

	unit = `(?P<unit>seconds|second|secs|sec|minutes|minute|mins|min|hours|hour|秒钟|秒|分钟|分|小时|[smh]\b)`
	// What is counted: "20 requests per second", "20 次/秒".
	counted = `(?:(?:api |http )?(?:requests?|reqs?|calls?|times?|queries|invocations|个?请求|次请求|次调用|次)\s*)?`
	calls   = "[`'\"]?(?P<calls>\\d{1,7})[`'\"]?"
	units   = `(?:(?P<units>\d{1,4})\s*)?`

	limitForms = []*regexp.Regexp{
		// 20 requests per second, 10 times a minute, 600 calls in 60 seconds, 20 次/秒
		regexp.MustCompile(calls + `\s*` + counted + `(?:per|a|an|each|every|in an?|in|within|for a|/|每)\s*` + units + unit),
		// limit:20,time:1 minute (the API gateway of Huawei Cloud)
		regexp.MustCompile(`limit\W{1,3}` + calls + `\W{1,3}(?:time|period|window)\W{1,3}` + units + unit),
		// 每秒最多20次, 每 1 分钟不超过 10 次请求, 1分钟内最多10次
		regexp.MustCompile(`(?:每|per[ -])?` + units + unit + `[^\d\n.。;；]{0,24}?` + calls + `\s*(?:次|个请求|times|requests|calls|\z)`),
		// per-minute limit of 10, per second limit: 20, QPS limit 20
		regexp.MustCompile(`(?:per|each|every)[ -]` + units + unit + `(?:[ -](?:rate|request|call|quota))* (?:limit|maximum|quota)(?: of| is|:|=)?\s*` + calls),
		regexp.MustCompile(`(?P<qps>[qr]ps)\b(?: limit| quota)?(?: of| is|:|=|\W)?\s*` + calls),
		regexp.MustCompile(calls + `\s*(?P<qps>[qr]ps)\b`),
	}
)

// maxLimitText is how much of a message is searched, in bytes.
const maxLimitText = 4 << 10

// namedLimits returns the limits that a message names, in English or Chinese, for example
// "20 requests per second" and "每分钟最多10次". Where a message names several limits of one
// length of time, the lowest is the limit, and the others are what was counted.
func namedLimits(message string) (limits []namedLimit) {
	text := strings.ToLower(message[:min(len(message), maxLimitText)])
	lowest := make(map[time.Duration]float64)
	for _, form := range limitForms {
		for _, match := range form.FindAllStringSubmatch(text, -1) {
			n, per := 0.0, time.Second
			for i, name := range form.SubexpNames() {
				switch value := match[i]; name {
				case "calls":
					n, _ = strconv.ParseFloat(value, 64)
				case "unit":
					per *= limitUnits[value] / time.Second
				case "units":
					if several, _ := strconv.Atoi(value); several > 0 {
						per *= time.Duration(several)
					}
				}
			}
			if known, ok := lowest[per]; n > 0 && (!ok || n < known) {
				lowest[per] = n
			}
		}
	}
	for per, n := range lowest {
		limits = append(limits, namedLimit{calls: n, per: per})
	}
	return limits
}

package simulate_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdktime"
	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

const (
	accessKey = "an-access-key"
	secretKey = "a-secret-key"
	token     = "a-token"
	projectID = "0123456789abcdef0123456789abcdef"
)

var (
	day  = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	noon = day.Add(12 * time.Hour)
)

func generate(t testing.TB, functions, invocations int) *dataset.Data {
	t.Helper()
	d, err := dataset.Generate(dataset.GenerateOptions{
		Functions: functions, Invocations: invocations, Date: day, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// serve starts a server that accepts the test's keys and token. change may alter
// its options.
func serve(t testing.TB, d *dataset.Data, change ...func(*simulate.Options)) (*simulate.Server, *httptest.Server) {
	t.Helper()
	o := simulate.Options{
		Data: d, ProjectID: projectID, AccessKey: accessKey, SecretKey: secretKey, Token: token,
	}
	for _, c := range change {
		c(&o)
	}
	s, err := simulate.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	return s, h
}

// client returns the real SDK client of a test server.
func client(t testing.TB, endpoint, secretKey string, transport http.RoundTripper) *functiongraph.FunctionGraphClient {
	t.Helper()
	credentials, err := basic.NewCredentialsBuilder().
		WithAk(accessKey).WithSk(secretKey).WithProjectId(projectID).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	conf := config.DefaultHttpConfig()
	if transport != nil {
		conf.RoundTripper = transport
	}
	c, err := functiongraph.FunctionGraphClientBuilder().
		WithEndpoints([]string{endpoint}).WithCredential(credentials).WithHttpConfig(conf).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return functiongraph.NewFunctionGraphClient(c)
}

// roundTripper changes requests after they were signed.
type roundTripper func(*http.Request)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return http.DefaultTransport.RoundTrip(r)
}

func sdkTime(t time.Time) *sdktime.SdkTime {
	s := sdktime.SdkTime(t)
	return &s
}

func ptr[T any](v T) *T { return &v }

// walk reads all of a function's records of the day through the SDK, newest first,
// and checks the markers.
func walk(t testing.TB, c *functiongraph.FunctionGraphClient, urn string) []model.ListFunctionAsyncInvocationsResult {
	t.Helper()
	var all []model.ListFunctionAsyncInvocationsResult
	for {
		answer, err := c.ListAsyncInvocations(&model.ListAsyncInvocationsRequest{
			FunctionUrn:    urn,
			Marker:         ptr(fmt.Sprint(len(all))),
			Limit:          ptr("500"),
			QueryBeginTime: sdkTime(day),
			QueryEndTime:   sdkTime(day.Add(24 * time.Hour)),
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *answer.Invocations...)
		if answer.NextMarker == nil {
			if int(*answer.Count) != len(all) {
				t.Fatalf("%s: count %d, got %d records", urn, *answer.Count, len(all))
			}
			return all
		}
		if int(*answer.NextMarker) != len(all) {
			t.Fatalf("%s: next_marker %d after %d records", urn, *answer.NextMarker, len(all))
		}
	}
}

func collect(d *dataset.Data) [][]dataset.Record {
	all := make([][]dataset.Record, len(d.Functions()))
	for i := range all {
		all[i] = slices.Collect(d.Records(i))
	}
	return all
}

func setBody(r *http.Request, text string) {
	r.Body = io.NopCloser(strings.NewReader(text))
	r.ContentLength = int64(len(text))
}

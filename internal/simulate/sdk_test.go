package simulate_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/simulate"
	"archiver/internal/simulate/dataset"
)

// The SDK's client reads each record exactly as the Data holds it.
func TestSDKReadsAll(t *testing.T) {
	t.Parallel()
	d := generate(t, 12, 6000)
	s, h := serve(t, d)
	c := client(t, h.URL, secretKey, nil)

	var urns []string
	for {
		answer, err := c.ListFunctions(&model.ListFunctionsRequest{
			Marker: ptr(fmt.Sprint(len(urns))), Maxitems: ptr("5"),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range *answer.Functions {
			urns = append(urns, f.FuncUrn)
		}
		if *answer.Count != 12 || int(*answer.NextMarker) != len(urns) {
			t.Fatalf("count %d, next_marker %d after %d functions", *answer.Count, *answer.NextMarker, len(urns))
		}
		if len(urns) == 12 {
			break
		}
	}

	total := 0
	for i, info := range s.Functions() {
		if info.URN != urns[i] {
			t.Fatalf("function %d is %s, listed as %s", i, info.URN, urns[i])
		}
		var got []dataset.Record
		for _, r := range walk(t, c, info.URN) {
			got = append(got, fromSDK(t, r))
		}
		slices.Reverse(got)
		if diff := cmp.Diff(slices.Collect(d.Records(i)), got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", info.URN, diff)
		}
		if len(got) != info.Records {
			t.Errorf("%s: %d records, said to have %d", info.URN, len(got), info.Records)
		}
		total += len(got)
	}
	if total != 6000 {
		t.Errorf("%d records in all, want 6000", total)
	}
	stats := s.Stats()
	if stats.Records != 6000 || stats.ListFunctions != 3 || stats.ListAsyncInvocations < 12 || stats.Forbidden != 0 {
		t.Errorf("stats: %+v", stats)
	}
}

func fromSDK(t *testing.T, r model.ListFunctionAsyncInvocationsResult) dataset.Record {
	t.Helper()
	end, err := time.Parse("2006-01-02T15:04:05", *r.EndTime)
	if err != nil {
		t.Fatal(err)
	}
	return dataset.Record{
		RequestID: *r.RequestId, Status: dataset.Status(r.Status.Value()),
		ErrorCode: int(*r.ErrorCode), ErrorMessage: *r.ErrorMessage,
		Start: time.Time(*r.StartTime), End: end,
	}
}

func TestSDKOtherOperations(t *testing.T) {
	t.Parallel()
	s, h := serve(t, generate(t, 2, 10))
	c := client(t, h.URL, secretKey, nil)
	urn := s.Functions()[1].URN

	versions, err := c.ListFunctionVersions(&model.ListFunctionVersionsRequest{FunctionUrn: urn})
	if err != nil {
		t.Fatal(err)
	}
	if v := (*versions.Versions)[0]; *versions.Count != 1 || v.FuncUrn != urn || v.Version != "latest" {
		t.Errorf("versions: %v", versions)
	}
	configs, err := c.ListFunctionAsyncInvokeConfig(&model.ListFunctionAsyncInvokeConfigRequest{FunctionUrn: urn})
	if err != nil {
		t.Fatal(err)
	}
	config := (*configs.AsyncInvokeConfigs)[0]
	if !*config.EnableAsyncStatusLog || config.FuncUrn != urn || configs.PageInfo.CurrentCount != 1 ||
		*config.CreatedTime != "2026-02-12T08:00:00+08:00" || *config.LastModified != "2026-02-12 00:00:00" {
		t.Errorf("async-invoke-configs: %v", configs)
	}
	log, err := c.ShowProjectAsyncStatusLogInfo(&model.ShowProjectAsyncStatusLogInfoRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(*log.GroupId) != 36 || len(*log.StreamId) != 36 {
		t.Errorf("status log: %v", log)
	}
	_, err = c.ListAsyncInvocations(&model.ListAsyncInvocationsRequest{FunctionUrn: "urn:fss:none"})
	wantSDKError(t, err, http.StatusNotFound, "FSS.0404", "can not find function")
}

func wantSDKError(t *testing.T, err error, status int, code, message string) {
	t.Helper()
	var e *sdkerr.ServiceResponseError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an answer of the service", err)
	}
	if e.StatusCode != status || e.ErrorCode != code || message != "" && e.ErrorMessage != message || e.RequestId == "" {
		t.Errorf("got %+v, want %d %s %s and a request id", e, status, code, message)
	}
}

// A request that was changed after signing is refused.
func TestSDKSignature(t *testing.T) {
	t.Parallel()
	s, h := serve(t, generate(t, 1, 10))
	urn := s.Functions()[0].URN
	cases := []struct {
		name   string
		secret string
		alter  func(*http.Request)
		ok     bool
	}{
		{name: "as signed", secret: secretKey, alter: func(*http.Request) {}, ok: true},
		{name: "percent-encoded", secret: secretKey, ok: true, alter: func(r *http.Request) {
			r.URL.RawPath = "/v2/" + projectID + "/fgs/functions/urn%3Afss" + r.URL.Path[len("/v2/"+projectID+"/fgs/functions/urn:fss"):]
		}},
		{name: "wrong secret key", secret: "another", alter: func(*http.Request) {}},
		{name: "query", secret: secretKey, alter: func(r *http.Request) { r.URL.RawQuery += "&status=FAIL" }},
		{name: "query value", secret: secretKey, alter: func(r *http.Request) { r.URL.RawQuery = "limit=8" }},
		{name: "malformed query", secret: secretKey, alter: func(r *http.Request) { r.URL.RawQuery += "&%zz" }},
		{name: "path", secret: secretKey, alter: func(r *http.Request) { r.URL.Path = "/v2/" + projectID + "/fgs/functions" }},
		{name: "method", secret: secretKey, alter: func(r *http.Request) { r.Method = http.MethodDelete }},
		{name: "body", secret: secretKey, alter: func(r *http.Request) { setBody(r, "{}") }},
		{name: "signed header", secret: secretKey, alter: func(r *http.Request) { r.Header.Set("X-Project-Id", "other") }},
		{name: "signed header again", secret: secretKey, alter: func(r *http.Request) { r.Header.Add("X-Project-Id", projectID) }},
		{name: "signed header gone", secret: secretKey, alter: func(r *http.Request) { r.Header.Del("X-Project-Id") }},
		{name: "spaces around a header", secret: secretKey, ok: true, alter: func(r *http.Request) { r.Header.Set("X-Project-Id", "  "+projectID+" ") }},
		{name: "date", secret: secretKey, alter: func(r *http.Request) {
			r.Header.Set("X-Sdk-Date", time.Now().Add(-time.Minute).UTC().Format("20060102T150405Z"))
		}},
		{name: "date missing", secret: secretKey, alter: func(r *http.Request) { r.Header.Del("X-Sdk-Date") }},
		{name: "content hash", secret: secretKey, alter: func(r *http.Request) { r.Header.Set("X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD") }},
		{name: "unsigned", secret: secretKey, alter: func(r *http.Request) { r.Header.Del("Authorization") }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := client(t, h.URL, c.secret, roundTripper(c.alter)).ListAsyncInvocations(
				&model.ListAsyncInvocationsRequest{FunctionUrn: urn, Limit: ptr("7")})
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantSDKError(t, err, http.StatusForbidden, "FSS.0403", "")
		})
	}
}

func TestSDKStaleDate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		skew time.Duration
		ok   bool
	}{
		{-16 * time.Minute, false}, {-14 * time.Minute, true}, {14 * time.Minute, true}, {16 * time.Minute, false},
	} {
		t.Run(c.skew.String(), func(t *testing.T) {
			t.Parallel()
			_, h := serve(t, generate(t, 1, 10), func(o *simulate.Options) {
				o.Now = func() time.Time { return time.Now().Add(c.skew) }
			})
			_, err := client(t, h.URL, secretKey, nil).ListFunctions(&model.ListFunctionsRequest{})
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantSDKError(t, err, http.StatusForbidden, "FSS.0403", "X-Sdk-Date is not within 15 minutes of now")
		})
	}
}

package functiongraph

import (
	"bytes"
	"fmt"
	"testing"
)

// page500 is a full page in the form of the API's page: one record in ten has
// failed, with one of a few messages.
func page500() []byte {
	var b bytes.Buffer
	b.WriteString(`{"invocations":[`)
	for i := range 500 {
		if i > 0 {
			b.WriteByte(',')
		}
		status, code, message := "SUCCESS", 0, ""
		if i%10 == 3 {
			status, code, message = "FAIL", 4201, fmt.Sprintf("function exited with status %d", i%7)
		}
		fmt.Fprintf(&b, `{"request_id":"403fcbd6-ec41-401f-9fa7-386f3d3d%04d","status":%q,"error_message":%q,`+
			`"start_time":"2019-10-25T15:%02d:%02d","end_time":"2019-10-25T16:%02d:%02d","error_code":%d}`,
			i, status, message, i/60, i%60, i/60, i%60, code)
	}
	b.WriteString(`],"count":1200,"next_marker":500}`)
	return b.Bytes()
}

// BenchmarkDecodeInvocations decodes a page of 500 records.
func BenchmarkDecodeInvocations(b *testing.B) {
	page := page500()
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		l, err := decodeInvocations(bytes.NewReader(page))
		if err != nil || len(l.invocations) != 500 {
			b.Fatalf("%d records, %v", len(l.invocations), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/record")
}

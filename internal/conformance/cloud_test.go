package conformance_test

import (
	"encoding/json"
	"net/http"

	"archiver/internal/conformance"
)

// A cloud writes answers in the form of an invented cloud.
type cloud struct {
	counted bool // answers have the count of the whole query

	mistaken
}

func (c cloud) handler(of *conformance.Cloud) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /functions", func(w http.ResponseWriter, r *http.Request) {
		limit := functionsPage
		if c.makes("all functions are in one page") {
			limit = 1 << 20
		}
		list, next, total := of.Functions(asked(r).Offset, limit)
		more := len(list) > 0 && next < total
		p := page{Next: &next, More: &more}
		if c.counted {
			p.Total = &total
		}
		for _, f := range list {
			p.Names = append(p.Names, f.Name)
		}
		_ = json.NewEncoder(w).Encode(p)
	})
	mux.HandleFunc("POST /records", func(w http.ResponseWriter, r *http.Request) {
		q := asked(r)
		question := conformance.Question{Function: q.URN, From: q.From, To: q.To, RequestID: q.ID, Offset: q.Offset, Limit: q.Limit}
		if c.makes("the handler makes the pages") {
			question.Offset, question.Limit = 0, 1<<20
		}
		a := of.List(question)
		if c.makes("the handler makes the pages") {
			a.Next = min(q.Offset+q.Limit, a.Total)
			a.Records, a.More = a.Records[min(q.Offset, a.Total):a.Next], a.Next < a.Total
		}
		p := page{Next: &a.Next, More: &a.More}
		if c.counted {
			p.Total = &a.Total
		}
		for _, record := range a.Records {
			raw := []byte(record.Raw)
			if record.Raw == "" {
				raw, _ = json.Marshal(element{record.ID, record.Status, record.Message, record.Start, record.End})
			}
			p.Records = append(p.Records, raw)
		}
		_ = json.NewEncoder(w).Encode(p)
	})
	c.lists(of, mux)
	return mux
}

func asked(r *http.Request) (q question) {
	_ = json.NewDecoder(r.Body).Decode(&q)
	return q
}

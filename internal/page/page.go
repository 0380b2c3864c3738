// Package page is the status page: coverage as a map, what is at risk, how much
// there is and what failed, made on the server from a few questions to the
// archive. It needs no script, though one adds refreshing and arrow keys, and
// nothing of another host; a report is the same page in one file.
package page

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"archiver/internal/archive"
	"archiver/internal/load/read"
)

// A Page shows an archive.
type Page struct {
	Store   *read.Archive
	Clock   archive.Clock
	Log     *slog.Logger
	Version string

	// Keeps is how long the source is taken to keep its records. Nobody says how
	// long it does.
	Keeps time.Duration
}

// patience bounds what one page asks of the database.
const patience = 5 * time.Second

// A request is what of the archive is to be shown.
type request struct {
	zoom   string    // "" for what fits
	at     time.Time // the last day, zero for the newest
	match  string    // functions whose name or URN has this in it
	page   int       // of the functions, from 1
	report bool
}

// maxMatch bounds what is looked for.
const maxMatch = 300

func readRequest(r *http.Request) request {
	q := r.URL.Query()
	asked := request{zoom: q.Get("zoom"), page: 1}
	asked.match = strings.TrimSpace(q.Get("q"))
	asked.match = asked.match[:min(len(asked.match), maxMatch)]
	// What is no day or no number is as if it were not there.
	if at, err := time.Parse(time.DateOnly, q.Get("at")); err == nil && at.Year() > 1970 && at.Year() < 2200 {
		asked.at = at
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		asked.page = n
	}
	return asked
}

// ServeHTTP answers GET and HEAD with the page.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", "GET, HEAD")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "this page only shows", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentSecurity+"; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")

	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	m, err := p.model(ctx, readRequest(r))
	status, name := http.StatusOK, "page"
	if err != nil {
		// Why is for the log: what the database says may name what is not
		// everybody's to know.
		p.Log.Warn("the status page could not be made", "error", err)
		status, name, m = http.StatusServiceUnavailable, "down", &model{Version: p.Version, Now: minute(p.Clock.Now())}
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	var out io.Writer = w
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		zipped := gzip.NewWriter(w)
		defer zipped.Close()
		out = zipped
	}
	w.WriteHeader(status)
	// Whoever asked may have left.
	_ = templates.ExecuteTemplate(out, name, m)
}

// Report writes the page as one file that needs nothing else. It holds every zoom.
func (p *Page) Report(ctx context.Context, w io.Writer) error {
	m, err := p.model(ctx, request{page: 1, report: true})
	if err != nil {
		return fmt.Errorf("make the report: %w", err)
	}
	if err := templates.ExecuteTemplate(w, "page", m); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

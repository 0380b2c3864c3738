// Package page renders the status page: a map of the coverage, the hours at
// risk, figures, errors and runs. The server renders it with a few queries. The
// page works without its script, which adds refreshing and arrow keys, and
// loads nothing from other hosts. A report is the same page in one file.
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
	"archiver/internal/words"
)

// A Page shows the status of an archive.
type Page struct {
	Store   *read.Archive
	Clock   archive.Clock
	Log     *slog.Logger
	Version string

	// SourceRetention is how long a provider's sources are assumed to keep their records, if
	// no run has noted it. Their APIs do not tell it.
	SourceRetention func(provider string) time.Duration
	// Retention, if not 0, is how long all sources are assumed to keep them.
	Retention time.Duration
}

// queryTimeout limits all queries of one page.
const queryTimeout = 5 * time.Second

// A request selects what the page shows.
type request struct {
	zoom   string    // "" means the best zoom for the archive
	at     time.Time // the last day; zero means the newest
	source string    // the name of the source; "" means all
	match  string    // only functions whose name or URN contains this; "" means all
	page   int       // of the list of functions, from 1
	report bool
}

// maxMatch is the longest search text, in bytes.
const maxMatch = 300

func readRequest(r *http.Request) request {
	q := r.URL.Query()
	asked := request{zoom: q.Get("zoom"), page: 1}
	asked.source = q.Get("source")
	asked.match = strings.TrimSpace(q.Get("q"))
	asked.match = asked.match[:min(len(asked.match), maxMatch)]
	// Ignore invalid days and numbers.
	if at, err := time.Parse(time.DateOnly, q.Get("at")); err == nil && at.Year() > 1970 && at.Year() < 2200 {
		asked.at = at
	}
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		asked.page = n
	}
	return asked
}

// ServeHTTP serves the page to GET and HEAD.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Allow", "GET, HEAD")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "this page is read-only", http.StatusMethodNotAllowed)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentSecurity+"; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")

	ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
	defer cancel()
	m, err := p.model(ctx, readRequest(r))
	status, name := http.StatusOK, "page"
	if err != nil {
		// The reason is only logged: a database error may contain private
		// names.
		p.Log.Warn("cannot render the status page", "error", err)
		status, name, m = http.StatusServiceUnavailable, "down", &model{Version: p.Version, Now: words.Minute(p.Clock.Now())}
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
	// The client may be gone.
	_ = templates.ExecuteTemplate(out, name, m)
}

// Report writes the page with all zooms as one file.
func (p *Page) Report(ctx context.Context, w io.Writer) error {
	m, err := p.model(ctx, request{page: 1, report: true})
	if err != nil {
		return fmt.Errorf("render the report: %w", err)
	}
	if err := templates.ExecuteTemplate(w, "page", m); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

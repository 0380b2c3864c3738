package load

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
)

// A row is one row of invocations, as it is written.
type row struct {
	firstArchived, updated time.Time
	start, end, queried    time.Time // zero for NULL
	functionID             int32
	requestID, status      string
	sourceStatus           string // empty for NULL, as the next two
	errorCode              string
	errorMessage           string
	extra                  []byte // empty for NULL
}

// window is the hour that the row counts into.
func (r *row) window() time.Time {
	if r.start.IsZero() {
		return r.queried
	}
	return r.start.UTC().Truncate(time.Hour)
}

const copyColumns = 12

const copyRows = `
	COPY invocations (
		first_archived_at, updated_at, start_time, end_time, queried_window, function_id,
		request_id, status, source_status, error_code, error_message, extra)
	FROM STDIN BINARY;
	COMMIT`

// errSameID says that two pages of one transaction have the same request id.
var errSameID = errors.New("two functions give one request id at the same moment")

// copyIn inserts the rows, sorted by request id, and commits. PostgreSQL finds the
// partition of each row by its status and start.
func copyIn(ctx context.Context, conn *pgx.Conn, rows []*row) error {
	for i := 1; i < len(rows); i++ {
		if rows[i].requestID == rows[i-1].requestID {
			return errSameID
		}
	}
	if _, err := conn.PgConn().CopyFrom(ctx, &copyReader{rows: rows}, copyRows); err != nil {
		return fmt.Errorf("copy %d rows and commit: %w", len(rows), err)
	}
	return nil
}

// copyReader encodes rows in COPY's binary format, some at a time, directly into the
// buffer that pgx sends. It is written by hand so that it allocates nothing.
type copyReader struct {
	rows   []*row
	begun  bool
	ended  bool
	unread []byte // what did not fit
}

// copyChunk is after how many bytes a chunk ends. The server works on one chunk while
// the next one is encoded.
const copyChunk = 32 << 10

func (c *copyReader) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		// If all of it fits into p, the copy below moves nothing.
		c.unread = c.fill(p[:0:len(p)])
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// fill appends the next rows to b.
func (c *copyReader) fill(b []byte) []byte {
	if !c.begun {
		c.begun = true
		b = append(b, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	}
	for len(c.rows) > 0 && len(b) < copyChunk {
		b = appendRow(b, c.rows[0])
		c.rows = c.rows[1:]
	}
	if len(c.rows) == 0 {
		c.ended = true
		b = binary.BigEndian.AppendUint16(b, 0xffff)
	}
	return b
}

func appendRow(b []byte, r *row) []byte {
	b = binary.BigEndian.AppendUint16(b, copyColumns)
	b = appendTime(b, r.firstArchived)
	b = appendTime(b, r.updated)
	b = appendTime(b, r.start)
	b = appendTime(b, r.end)
	b = appendTime(b, r.queried)
	b = binary.BigEndian.AppendUint32(b, 4)
	b = binary.BigEndian.AppendUint32(b, uint32(r.functionID))
	b = appendText(b, r.requestID)
	b = appendText(b, r.status)
	b = appendText(b, r.sourceStatus)
	b = appendText(b, r.errorCode)
	b = appendText(b, r.errorMessage)
	if len(r.extra) == 0 {
		return appendNull(b)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.extra)+1))
	b = append(b, 1) // the version of jsonb's binary format
	return append(b, r.extra...)
}

func appendNull(b []byte) []byte { return binary.BigEndian.AppendUint32(b, 0xffffffff) }

func appendText(b []byte, s string) []byte {
	if s == "" {
		return appendNull(b)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// epoch is the zero of PostgreSQL's times, which count microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return appendNull(b)
	}
	b = binary.BigEndian.AppendUint32(b, 8)
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-epoch.UnixMicro()))
}

package loop

import (
	"fmt"
	"strings"
	"time"

	"archiver/internal/archive"
)

// A position is where in a question a walk goes on.
type position struct {
	cursor archive.Cursor
	newest bool // the newest records come first
	proved bool // the source's count was proven
	short  *shorter
}

// The cursor of a checkpoint begins with these words, in this order: the newest records
// come first; the source's count was proven; a shorter question comes next, up to a
// second since 1970, without so many records, of which it may ask for so many.
const (
	newestFirst = "~newest "
	countProved = "~proven "
	shorterNext = "~shorter %d %d %d "
)

// checkpoint returns the cursor of a checkpoint.
func (p position) checkpoint() archive.Cursor {
	c := p.cursor
	if s := p.short; s != nil {
		c = archive.Cursor(fmt.Sprintf(shorterNext, s.to.Unix(), s.before, s.borders)) + c
	}
	if p.proved {
		c = countProved + c
	}
	if p.newest {
		c = newestFirst + c
	}
	return c
}

// positionOf reads the cursor of a checkpoint.
func positionOf(c archive.Cursor) position {
	cursor, newest := strings.CutPrefix(string(c), newestFirst)
	cursor, proved := strings.CutPrefix(cursor, countProved)
	p := position{newest: newest, proved: proved}
	var to int64
	var s shorter
	if n, _ := fmt.Sscanf(cursor, shorterNext, &to, &s.before, &s.borders); n == 3 {
		s.to = time.Unix(to, 0).UTC()
		p.short = &s
		cursor = strings.TrimPrefix(cursor, fmt.Sprintf(shorterNext, to, s.before, s.borders))
	}
	p.cursor = archive.Cursor(cursor)
	return p
}

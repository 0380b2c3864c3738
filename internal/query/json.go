package query

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

// A printer prints invocations.
type printer interface {
	show(archive.Invocation) error
	// end ends the output. whole says that there was no error.
	end(whole bool) error
}

func (r *Request) printer(urn string) printer {
	if r.JSON {
		return &jsonPrinter{out: r.Out, urn: urn}
	}
	return &tablePrinter{out: r.Out, width: tableWidth(r.Out)}
}

// An Element is an invocation as JSON. Its first keys are the attributes of
// Terraform's data source huaweicloud_fgs_async_invocations.
type Element struct {
	RequestID       string          `json:"request_id"`
	Status          string          `json:"status"`
	ErrorCode       *string         `json:"error_code"`
	ErrorMessage    *string         `json:"error_message"`
	StartTime       *time.Time      `json:"start_time"`
	EndTime         *time.Time      `json:"end_time"`
	DurationSeconds *float64        `json:"duration_seconds"`
	SourceStatus    string          `json:"source_status"`
	FunctionURN     string          `json:"function_urn"`
	Extra           json.RawMessage `json:"extra"`
}

// A jsonPrinter prints an array, one element a line, without waiting for the last.
// After an error it does not close the array, so that no program takes the array
// for a whole answer.
type jsonPrinter struct {
	out   io.Writer
	urn   string
	begun bool
}

func (p *jsonPrinter) show(inv archive.Invocation) error {
	e := Element{
		RequestID: inv.RequestID, Status: inv.Status, SourceStatus: inv.SourceStatus, FunctionURN: p.urn,
		ErrorCode: textOrNull(inv.ErrorCode), ErrorMessage: textOrNull(inv.ErrorMessage),
		StartTime: timeOrNull(inv.Start), EndTime: timeOrNull(inv.End), Extra: sortedJSON(inv.Extra),
	}
	if e.SourceStatus == "" {
		e.SourceStatus = inv.Status
	}
	if e.StartTime != nil && e.EndTime != nil {
		seconds := inv.End.Sub(inv.Start).Seconds()
		e.DurationSeconds = &seconds
	}
	line, err := marshal(e)
	if err != nil {
		return err
	}
	before := ",\n  "
	if !p.begun {
		p.begun, before = true, "[\n  "
	}
	_, err = io.WriteString(p.out, before+string(terminal.JSON(line)))
	return err
}

func (p *jsonPrinter) end(whole bool) error {
	end := ""
	switch {
	case p.begun && whole:
		end = "\n]\n"
	case p.begun:
		end = "\n"
	case whole:
		end = "[]\n"
	}
	_, err := io.WriteString(p.out, end)
	return err
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// sortedJSON writes an object with sorted keys: PostgreSQL does not keep their order.
func sortedJSON(object []byte) json.RawMessage {
	if len(object) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return object
	}
	sorted, err := marshal(value)
	if err != nil {
		return object
	}
	return sorted
}

// marshal writes JSON without escapes for HTML.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

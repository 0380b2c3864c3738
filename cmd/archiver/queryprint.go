package main

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"archiver/internal/archive"
	"archiver/internal/terminal"
)

// A printer shows invocations.
type printer interface {
	show(archive.Invocation) error
	// end is called once after the last; whole says that nothing failed.
	end(whole bool) error
}

func (c *queryCommand) printer(s streams, urn string) printer {
	if c.JSON {
		return &jsonPrinter{out: s.out, urn: urn}
	}
	return &tablePrinter{out: s.out, width: tableWidth(s.out)}
}

// An element is an invocation as JSON has it. Its first keys are the attributes
// of Terraform's data source huaweicloud_fgs_async_invocations.
type element struct {
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

// jsonPrinter writes an array, an element a line, as they come. Where the source
// fails, the array is not ended: nobody can take it for all.
type jsonPrinter struct {
	out   io.Writer
	urn   string
	begun bool
}

func (p *jsonPrinter) show(inv archive.Invocation) error {
	e := element{
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

// sortedJSON writes an object with its keys in order: the database keeps none.
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

// marshal is JSON as it is read best, without escapes for HTML.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

package settings

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"archiver/internal/extract/functiongraph"
	"archiver/internal/terminal"
)

// maxColumn bounds how far to the right the column of places stands.
const maxColumn = 60

// Print writes the settings as YAML. Behind each value, a comment says where the
// value comes from. Secrets are masked, and what is not set is a comment.
func (s *Settings) Print(out io.Writer) error {
	p := &printer{}
	p.origins("", s.origins)
	for i := range s.Sources {
		source := &s.Sources[i]
		indent := ""
		if source.Name != "" {
			if i == 0 {
				p.line("sources:", "")
			}
			indent = "    "
		}
		first := len(p.lines)
		p.origins(indent, source.origins)
		p.line(indent+"# signs in "+source.signsIn(), "")
		if source.Name != "" {
			p.lines[first].text = "  - " + strings.TrimPrefix(p.lines[first].text, indent)
		}
	}
	if _, err := io.WriteString(out, p.text()); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

// A printer collects lines.
type printer struct {
	lines []struct{ text, from string }
}

func (p *printer) line(text, from string) {
	p.lines = append(p.lines, struct{ text, from string }{text, from})
}

func (p *printer) origins(indent string, origins []Origin) {
	for _, o := range origins {
		if o.From == "" {
			p.line(indent+"# "+o.Key+": "+terminal.Line(o.Value), "")
		} else {
			p.line(indent+o.Key+": "+o.Value, o.From)
		}
	}
}

// text returns the lines, with the places in one column.
func (p *printer) text() string {
	width := 0
	for _, l := range p.lines {
		if n := utf8.RuneCountInString(l.text); l.from != "" && n <= maxColumn {
			width = max(width, n)
		}
	}
	var b strings.Builder
	for _, l := range p.lines {
		if l.from != "" {
			l.text = fmt.Sprintf("%-*s  # %s", width, l.text, terminal.Line(l.from))
		}
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// signsIn says how the source signs in.
func (s *Source) signsIn() string {
	switch {
	case s.AuthToken.Given():
		return "with the token"
	case s.Password.Given(), s.Provider == functiongraph.Provider && s.Username != "":
		return "as the user"
	case s.AccessKey.Given():
		return "with the keys"
	case s.Provider != functiongraph.Provider:
		return "with what the SDK finds in its profile files, or the cloud host's metadata service has"
	}
	if file := functiongraph.ProfileFile(); file != "" {
		return "with the SDK's profile " + file
	}
	return "with what the cloud host's metadata service has"
}

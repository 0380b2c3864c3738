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

// A line is a line of the settings, and where its value comes from.
type line struct{ text, from string }

// Print writes the settings as YAML. Behind each value, a comment says where the
// value comes from. Secrets are masked, and what is not set is a comment.
func (s *Settings) Print(out io.Writer) error {
	lines := originLines("", s.origins)
	for i := range s.Sources {
		source := &s.Sources[i]
		signsIn := "# signs in " + source.signsIn()
		if source.Name == "" {
			lines = append(append(lines, originLines("", source.origins)...), line{signsIn, ""})
			continue
		}
		if i == 0 {
			lines = append(lines, line{"sources:", ""})
		}
		const indent = "    "
		own := append(originLines(indent, source.origins), line{indent + signsIn, ""})
		own[0].text = "  - " + strings.TrimPrefix(own[0].text, indent)
		lines = append(lines, own...)
	}
	width := 0
	for _, l := range lines {
		if n := utf8.RuneCountInString(l.text); l.from != "" && n <= maxColumn {
			width = max(width, n)
		}
	}
	var b strings.Builder
	for _, l := range lines {
		if l.from != "" {
			l.text = fmt.Sprintf("%-*s  # %s", width, l.text, terminal.Line(l.from))
		}
		b.WriteString(l.text + "\n")
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

func originLines(indent string, origins []Origin) (lines []line) {
	for _, o := range origins {
		if o.From == "" {
			lines = append(lines, line{indent + "# " + o.Key + ": " + terminal.Line(o.Value), ""})
		} else {
			lines = append(lines, line{indent + o.Key + ": " + o.Value, o.From})
		}
	}
	return lines
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

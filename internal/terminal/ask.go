package terminal

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Confirm asks whether to go on, on w, and reads the answer from r. Only yes is a yes.
func Confirm(r io.Reader, w io.Writer, question string) bool {
	fmt.Fprintf(w, "%s Type yes to go on: ", question)
	answer, _ := bufio.NewReader(io.LimitReader(r, 64)).ReadString('\n')
	if !strings.HasSuffix(answer, "\n") {
		fmt.Fprintln(w)
	}
	return strings.EqualFold(strings.TrimSpace(answer), "yes")
}

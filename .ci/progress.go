// Command progress runs go test -json with its own arguments, and prints a line as
// each package ends, the output of what failed, and from time to time what it waits
// for. go test alone prints in the order of its arguments: it may be silent for as
// long as the first package takes.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// An event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// A testing package is one whose tests run.
type testing struct {
	ended  int                 // tests
	output map[string][]string // of the package, and of its tests that run or failed
}

// silence is how long nothing is printed at most.
const silence = 20 * time.Second

func main() {
	cmd := exec.CommandContext(context.Background(), "go", append([]string{"test", "-json"}, os.Args[1:]...)...) //nolint:gosec // .ci/test gives the arguments
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for r := bufio.NewReader(out); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines <- line
		}
	}()
	began := time.Now()
	packages := make(map[string]*testing)
	for quiet := time.NewTimer(silence); ; {
		select {
		case line, ok := <-lines:
			if !ok {
				var exit *exec.ExitError
				if err := cmd.Wait(); errors.As(err, &exit) {
					os.Exit(exit.ExitCode())
				}
				return
			}
			if see(line, packages) {
				quiet.Reset(silence)
			}
		case <-quiet.C:
			fmt.Printf("    … %3.0f s: %s\n", time.Since(began).Seconds(), waitsFor(packages))
			quiet.Reset(silence)
		}
	}
}

// see takes an event, and reports whether it printed something.
func see(line string, packages map[string]*testing) bool {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		fmt.Print(line)
		return true
	}
	p := packages[e.Package]
	if p == nil && e.Package != "" {
		p = &testing{output: make(map[string][]string)}
		packages[e.Package] = p
	}
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
		return true
	case "output":
		if !strings.HasPrefix(e.Output, "=== ") { // RUN, PAUSE, CONT
			p.output[e.Test] = append(p.output[e.Test], e.Output)
		}
	case "pass", "fail", "skip":
		if e.Test != "" {
			p.ended++
			if e.Action != "fail" {
				delete(p.output, e.Test)
			}
			return false
		}
		delete(packages, e.Package)
		return printEnd(e, p)
	}
	return false
}

// printEnd prints the line of a package that ended, unless it has no tests.
func printEnd(e event, p *testing) bool {
	switch {
	case e.Action == "skip":
		return false
	case e.Action == "pass" && strings.Contains(strings.Join(p.output[""], ""), "\t(cached)"):
		fmt.Printf("ok      cached %5d tests  %s\n", p.ended, e.Package)
	case e.Action == "pass":
		fmt.Printf("ok   %7.1f s %5d tests  %s\n", e.Elapsed, p.ended, e.Package)
	default:
		for _, test := range slices.Sorted(maps.Keys(p.output)) {
			fmt.Print(strings.Join(p.output[test], ""))
		}
		fmt.Printf("FAIL %7.1f s %5d tests  %s\n", e.Elapsed, p.ended, e.Package)
	}
	return true
}

// waitsFor says which packages run, and how many of their tests have ended.
func waitsFor(packages map[string]*testing) string {
	var running []string
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		running = append(running, fmt.Sprintf("%s (%d tests ended)", name, packages[name].ended))
	}
	if len(running) == 0 {
		return "compiling"
	}
	return strings.Join(running, ", ")
}

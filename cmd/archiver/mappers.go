package main

import (
	"fmt"
	"net"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/schedule"
)

// mappers read the values of flags whose tag `type` names one of them, be they
// of the command line, the environment or the configuration file.
func mappers() []kong.Option {
	return []kong.Option{
		durations,
		mapper("globs", func(target reflect.Value, text string) error {
			for _, glob := range kong.SplitEscaped(text, ',') {
				if err := checkGlob(glob); err != nil {
					return err
				}
				target.Set(reflect.Append(target, reflect.ValueOf(glob)))
			}
			return nil
		}),
		mapper("cron", func(target reflect.Value, text string) error {
			target.SetString(text)
			ticks, err := schedule.Parse(text)
			if err == nil && ticks.Next(time.Unix(0, 0).UTC()).IsZero() {
				err = fmt.Errorf("%q never comes: there is no such day", text)
			}
			return err
		}),
		mapper("count", func(target reflect.Value, text string) error {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a whole number from 1 on", text)
			}
			target.SetInt(int64(n))
			return nil
		}),
		mapper("rate", func(target reflect.Value, text string) error {
			f, err := strconv.ParseFloat(text, 64)
			if err != nil || !(f >= 0 && f <= 1e6) {
				return fmt.Errorf("%q is not a number such as 10 or 0.5", text)
			}
			target.SetFloat(f)
			return nil
		}),
		mapper("address", func(target reflect.Value, text string) error {
			target.SetString(text)
			_, err := hostOf(text, "127.0.0.1:8080")
			return err
		}),
		mapper("loopback", func(target reflect.Value, text string) error {
			target.SetString(text)
			host, err := hostOf(text, "127.0.0.1:6060")
			if err == nil && text != "" && !extract.Loopback(host) {
				return fmt.Errorf("%s is not a loopback address: use one such as 127.0.0.1:6060", text)
			}
			return err
		}),
	}
}

// hostOf is the host of an address with a port, empty for an empty address. The
// port may be a name that the system knows.
func hostOf(address, example string) (host string, err error) {
	if address == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return "", fmt.Errorf("%q is not an address with a port, such as %s", address, example)
	}
	return host, nil
}

func mapper(name string, set func(target reflect.Value, text string) error) kong.Option {
	return kong.NamedMapper(name, kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto(name, &text); err != nil {
			return err
		}
		return set(target, text)
	}))
}

// checkGlob refuses what path.Match cannot read.
func checkGlob(glob string) error {
	if _, err := path.Match(strings.TrimPrefix(strings.TrimSpace(glob), "!"), ""); err != nil {
		return fmt.Errorf("%q is not a glob: %w", glob, err)
	}
	return nil
}

package settings

import (
	"fmt"
	"net"
	"reflect"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"archiver/internal/extract"
	"archiver/internal/load/pg"
	"archiver/internal/schedule"
)

// mappers read the values of flags, from the command line, the environment or the
// configuration file. The tag `type` of a flag names its mapper.
func mappers() []kong.Option {
	return []kong.Option{
		kong.TypeMapper(reflect.TypeFor[time.Duration](), textMapper("duration", func(target reflect.Value, text string) error {
			d, err := parseDuration(text)
			target.SetInt(int64(d))
			return err
		})),
		namedMapper("globs", func(target reflect.Value, text string) error {
			for _, glob := range kong.SplitEscaped(text, ',') {
				if err := checkGlob(glob); err != nil {
					return err
				}
				target.Set(reflect.Append(target, reflect.ValueOf(glob)))
			}
			return nil
		}),
		namedMapper("cron", func(target reflect.Value, text string) error {
			target.SetString(text)
			ticks, err := schedule.Parse(text)
			if err == nil && ticks.Next(time.Unix(0, 0).UTC()).IsZero() {
				err = fmt.Errorf("%q never comes: there is no such day", text)
			}
			return err
		}),
		namedMapper("count", func(target reflect.Value, text string) error {
			n, err := strconv.ParseUint(text, 10, 16)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a whole number from 1 on", text)
			}
			target.SetInt(int64(n))
			return nil
		}),
		namedMapper("rate", func(target reflect.Value, text string) error {
			f, err := strconv.ParseFloat(text, 64)
			if err != nil || !(f >= 0 && f <= 1e6) {
				return fmt.Errorf("%q is not a number such as 10 or 0.5", text)
			}
			target.SetFloat(f)
			return nil
		}),
		namedMapper("schema", func(target reflect.Value, text string) error {
			target.SetString(text)
			if !pg.IsSchemaName(text) {
				return fmt.Errorf("%q is not a name such as archive_eu: small letters, digits and _, at most 53, not pg_…, …_internal or …_days", text)
			}
			return nil
		}),
		namedMapper("address", func(target reflect.Value, text string) error {
			target.SetString(text)
			_, err := hostOf(text, "127.0.0.1:8080")
			return err
		}),
		namedMapper("loopback", func(target reflect.Value, text string) error {
			target.SetString(text)
			host, err := hostOf(text, "127.0.0.1:6060")
			if err == nil && text != "" && !extract.Loopback(host) {
				return fmt.Errorf("%s is not a loopback address: use one such as 127.0.0.1:6060", text)
			}
			return err
		}),
	}
}

func namedMapper(name string, set func(target reflect.Value, text string) error) kong.Option {
	return kong.NamedMapper(name, textMapper(name, set))
}

func textMapper(name string, set func(target reflect.Value, text string) error) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto(name, &text); err != nil {
			return err
		}
		return set(target, text)
	})
}

// hostOf returns the host of an address with a port, empty for an empty address.
// The port may be a name that the system knows.
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

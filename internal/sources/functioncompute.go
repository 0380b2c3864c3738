package sources

import (
	"context"
	"log/slog"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/settings"
)

func openFunctionCompute(_ context.Context, s *settings.Source, caller *extract.Caller, log *slog.Logger) (archive.Source, error) {
	o, err := functionComputeOptions(s)
	if err != nil {
		return nil, err
	}
	return functioncompute.New(o, caller, log)
}

func checkFunctionCompute(s *settings.Source) error {
	o, err := functionComputeOptions(s)
	if err != nil {
		return err
	}
	return o.Check()
}

// functionComputeOptions has no keys if the settings have none: then the SDK looks
// for keys in its profile files and at the metadata service.
func functionComputeOptions(s *settings.Source) (functioncompute.Options, error) {
	o := functioncompute.Options{
		Region: s.Region, Endpoint: s.Endpoint, Insecure: s.Insecure, IncludePayload: s.IncludePayload,
		AccountID: s.AccountID,
	}
	read := func() (functioncompute.Keys, error) { return readKeys(s.Credentials) }
	keys, err := read()
	if err != nil {
		return o, err
	}
	if keys != (functioncompute.Keys{}) {
		o.Keys = read
	}
	return o, nil
}

// readKeys returns the current keys: a file that holds one may have been replaced.
func readKeys(c settings.Credentials) (k functioncompute.Keys, err error) {
	for _, part := range []struct {
		secret extract.Secret
		value  *string
	}{{c.AccessKey, &k.AccessKeyID}, {c.SecretKey, &k.AccessKeySecret}, {c.SecurityToken, &k.SecurityToken}} {
		if *part.value, err = part.secret.Read(); err != nil {
			return k, settings.Usage(err)
		}
	}
	return k, nil
}

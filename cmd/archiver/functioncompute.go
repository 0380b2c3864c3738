package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
)

// openFunctionCompute prepares the source that reads Alibaba Cloud.
func openFunctionCompute(_ context.Context, f *sourceFlags, caller *extract.Caller, log *slog.Logger) (archive.Source, error) {
	o := functioncompute.Options{
		Region: f.Region, Endpoint: f.Endpoint, Insecure: f.Insecure, IncludePayload: f.IncludePayload,
		AccountID: os.Getenv("ALIBABA_CLOUD_ACCOUNT_ID"),
	}
	keys, err := alibabaKeys()
	if err != nil {
		return nil, err
	}
	if keys != (functioncompute.Keys{}) {
		o.Keys = alibabaKeys
	}
	source, err := functioncompute.New(o, caller, log)
	if errors.Is(err, extract.ErrOptions) {
		return nil, &usageError{err}
	}
	if err != nil {
		return nil, err // not to be returned as a source that is not nil
	}
	return source, nil
}

// alibabaKeys are those of the environment, or of the files that it names, as
// they are by now.
func alibabaKeys() (k functioncompute.Keys, err error) {
	for name, value := range map[string]*string{
		"ALIBABA_CLOUD_ACCESS_KEY_ID":     &k.AccessKeyID,
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET": &k.AccessKeySecret,
		"ALIBABA_CLOUD_SECURITY_TOKEN":    &k.SecurityToken,
	} {
		if *value, err = extract.SecretFrom(name).Read(); err != nil {
			return k, &usageError{err}
		}
	}
	return k, nil
}

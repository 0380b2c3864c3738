package main

import (
	"context"
	"errors"
	"log/slog"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
)

// openFunctionCompute prepares the source that reads Alibaba Cloud.
func openFunctionCompute(_ context.Context, f *sourceFlags, caller *extract.Caller, log *slog.Logger) (archive.Source, error) {
	o, err := f.functionCompute()
	if err != nil {
		return nil, err
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

// checkFunctionCompute says what is wrong with the flags and the environment.
func checkFunctionCompute(f *sourceFlags) error {
	o, err := f.functionCompute()
	if err != nil {
		return err
	}
	return o.Check()
}

// functionCompute is what the flags and the environment say of Function Compute.
func (f *sourceFlags) functionCompute() (functioncompute.Options, error) {
	o := functioncompute.Options{
		Region: f.Region, Endpoint: f.Endpoint, Insecure: f.Insecure, IncludePayload: f.IncludePayload,
		AccountID: f.AccountID,
	}
	keys, err := f.alibabaKeys()
	if err != nil {
		return o, err
	}
	if keys != (functioncompute.Keys{}) {
		o.Keys = f.alibabaKeys
	}
	return o, nil
}

// alibabaKeys are those that the source has of its own or of the environment, as
// they are by now.
func (f *sourceFlags) alibabaKeys() (k functioncompute.Keys, err error) {
	for key, value := range map[string]*string{
		accessKey: &k.AccessKeyID, secretKey: &k.AccessKeySecret, securityToken: &k.SecurityToken,
	} {
		if *value, err = f.secret(key).Read(); err != nil {
			return k, &usageError{err}
		}
	}
	return k, nil
}

package main

import (
	"context"
	"errors"
	"log/slog"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
)

// signInFlags say whose functions are read, and as whom. Secrets are no flags:
// every process of a machine may see those.
type signInFlags struct {
	Project     string `placeholder:"NAME" help:"The project by its name, such as eu-de_shop, in place of HUAWEICLOUD_SDK_PROJECT_ID. Default: the region's own."`
	IAMEndpoint string `name:"iam-endpoint" placeholder:"URL" help:"URL of the identity service, in place of the region's own."`
	Username    string `placeholder:"NAME" help:"The IAM user to sign in as, with ARCHIVER_PASSWORD."`
	Domain      string `placeholder:"NAME" help:"The account that the user belongs to."`
}

// openFunctionGraph prepares the source that reads Huawei Cloud, or another that
// answers as it does.
func openFunctionGraph(ctx context.Context, f *sourceFlags, caller *extract.Caller, log *slog.Logger) (archive.Source, error) {
	if f.IncludePayload {
		return nil, usagef("--include-payload is for --provider functioncompute: FunctionGraph gives no payloads")
	}
	o, err := f.functionGraph()
	if err != nil {
		return nil, err
	}
	source, err := functiongraph.New(ctx, o, caller, log)
	if errors.Is(err, functiongraph.ErrOptions) {
		return nil, &usageError{err}
	}
	if err != nil {
		return nil, err // not to be returned as a source that is not nil
	}
	return source, nil
}

// functionGraph is what the flags and the environment say of FunctionGraph.
func (f *sourceFlags) functionGraph() (functiongraph.Options, error) {
	project, err := extract.SecretFrom("HUAWEICLOUD_SDK_PROJECT_ID").Read()
	if err != nil {
		return functiongraph.Options{}, &usageError{err}
	}
	return functiongraph.Options{
		Region: f.Region, Endpoint: f.Endpoint, IAMEndpoint: f.IAMEndpoint, Insecure: f.Insecure,
		ProjectID: project, Project: f.Project,
		AuthToken: extract.SecretFrom("ARCHIVER_AUTH_TOKEN"),
		Username:  f.Username, Domain: f.Domain, Password: extract.SecretFrom("ARCHIVER_PASSWORD"),
		AccessKey:     extract.SecretFrom("HUAWEICLOUD_SDK_AK"),
		SecretKey:     extract.SecretFrom("HUAWEICLOUD_SDK_SK"),
		SecurityToken: extract.SecretFrom("HUAWEICLOUD_SDK_SECURITY_TOKEN"),
	}, nil
}

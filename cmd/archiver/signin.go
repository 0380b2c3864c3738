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
// every process of a machine may see those. The tag `of` names the provider that
// a flag is for, where it is one's alone; `account` marks what says which account
// is read.
type signInFlags struct {
	ProjectID   string `name:"project-id" env:"ARCHIVER_PROJECT_ID,HUAWEICLOUD_SDK_PROJECT_ID" of:"functiongraph" account:"" placeholder:"ID" help:"The project. Default: looked up by its name."`
	Project     string `of:"functiongraph" account:"" placeholder:"NAME" help:"The project by its name, such as eu-de_shop, in place of its id. Default: the region's own."`
	IAMEndpoint string `name:"iam-endpoint" of:"functiongraph" account:"" placeholder:"URL" help:"URL of the identity service, in place of the region's own."`
	Username    string `of:"functiongraph" account:"" placeholder:"NAME" help:"The IAM user to sign in as, with ARCHIVER_PASSWORD."`
	Domain      string `of:"functiongraph" account:"" placeholder:"NAME" help:"The account that the user belongs to."`
	AccountID   string `name:"account-id" env:"ARCHIVER_ACCOUNT_ID,ALIBABA_CLOUD_ACCOUNT_ID" of:"functioncompute" account:"" placeholder:"ID" help:"The account. Default: that of the endpoint."`

	Own credentials `kong:"-"`
}

// openFunctionGraph prepares the source that reads Huawei Cloud, or another that
// answers as it does.
func openFunctionGraph(ctx context.Context, f *sourceFlags, caller *extract.Caller, log *slog.Logger) (archive.Source, error) {
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

// checkFunctionGraph says what is wrong with the flags and the environment.
func checkFunctionGraph(f *sourceFlags) error {
	o, err := f.functionGraph()
	if err != nil {
		return err
	}
	return o.Check()
}

// functionGraph is what the flags and the environment say of FunctionGraph.
func (f *sourceFlags) functionGraph() (functiongraph.Options, error) {
	if f.IncludePayload {
		return functiongraph.Options{}, usagef("--include-payload is for --provider functioncompute: FunctionGraph gives no payloads")
	}
	project := f.ProjectID
	if project == "" && f.Own == nil {
		var err error
		if project, err = extract.SecretFrom("HUAWEICLOUD_SDK_PROJECT_ID").Read(); err != nil { // a file's
			return functiongraph.Options{}, &usageError{err}
		}
	}
	return functiongraph.Options{
		Region: f.Region, Endpoint: f.Endpoint, IAMEndpoint: f.IAMEndpoint, Insecure: f.Insecure,
		ProjectID: project, Project: f.Project,
		AuthToken: f.secret(authToken),
		Username:  f.Username, Domain: f.Domain, Password: f.secret(password),
		AccessKey:     f.secret(accessKey),
		SecretKey:     f.secret(secretKey),
		SecurityToken: f.secret(securityToken),
	}, nil
}

package sources

import (
	"context"
	"log/slog"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/functiongraph"
	"archiver/internal/settings"
)

func openFunctionGraph(ctx context.Context, s *settings.Source, caller *extract.Caller, log *slog.Logger) (archive.Source, error) {
	o, err := functionGraphOptions(s)
	if err != nil {
		return nil, err
	}
	return functiongraph.New(ctx, o, caller, log)
}

func checkFunctionGraph(s *settings.Source) error {
	o, err := functionGraphOptions(s)
	if err != nil {
		return err
	}
	return o.Check()
}

func functionGraphOptions(s *settings.Source) (functiongraph.Options, error) {
	if s.IncludePayload {
		return functiongraph.Options{}, settings.Usagef("--include-payload is for --provider functioncompute: FunctionGraph gives no payloads")
	}
	return functiongraph.Options{
		Region: s.Region, Endpoint: s.Endpoint, IAMEndpoint: s.IAMEndpoint, Insecure: s.Insecure,
		ProjectID: s.ProjectID, Project: s.Project,
		AuthToken: s.AuthToken,
		Username:  s.Username, Domain: s.Domain, Password: s.Password,
		AccessKey: s.AccessKey, SecretKey: s.SecretKey, SecurityToken: s.SecurityToken,
	}, nil
}

package functiongraph

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

var errNoProject = fmt.Errorf("%w: no project: set HUAWEICLOUD_SDK_PROJECT_ID to its id, or ARCHIVER_PROJECT to its name", extract.ErrOptions)

// projectName is the name to look the project up by. Each region has a project
// of the region's name.
func (o *Options) projectName() string { return cmp.Or(o.Project, o.Region) }

// configuredProject returns the project's id from the options or the SDK's
// profile file, or else the identity service that can look it up.
func configuredProject(o Options, who identity, caller *extract.Caller) (id string, service *identityService, err error) {
	if o.ProjectID != "" {
		if o.Project != "" {
			return "", nil, fmt.Errorf("%w: HUAWEICLOUD_SDK_PROJECT_ID and ARCHIVER_PROJECT are both set: unset one of them", extract.ErrOptions)
		}
		return o.ProjectID, nil, nil
	}
	if c, ok := who.(*sdkChain); ok { // the profile file, after the options
		if o.Project == "" && c.sdk.ProjectId != "" {
			return c.sdk.ProjectId, nil, nil
		}
		o.IAMEndpoint = cmp.Or(o.IAMEndpoint, c.sdk.IamEndpoint)
	}
	if o.projectName() == "" {
		return "", nil, errNoProject
	}
	if service, err = newIdentityService(o, caller); err != nil {
		return "", nil, fmt.Errorf("%w, or HUAWEICLOUD_SDK_PROJECT_ID", err)
	}
	return "", service, nil
}

// projectID returns the project's id: configured, of a user's token, or looked up.
func projectID(ctx context.Context, o Options, who identity, caller *extract.Caller) (string, error) {
	given, service, err := configuredProject(o, who, caller)
	if given != "" || err != nil {
		return given, err
	}
	name := o.projectName()
	id, err := lookUp(ctx, service, who, name)
	if err != nil && context.Cause(ctx) == nil {
		return "", fmt.Errorf("look up project %s: %w; or set HUAWEICLOUD_SDK_PROJECT_ID", name, err)
	}
	return id, err
}

func lookUp(ctx context.Context, service *identityService, who identity, name string) (string, error) {
	used, err := who.credentials(ctx)
	if err != nil {
		return "", err
	}
	if u, ok := who.(*user); ok {
		if t, _ := u.current(); t.project != "" {
			return t.project, nil // the token was issued for this project
		}
	}
	id, err := service.project(ctx, used, name)
	if !errors.Is(err, archive.ErrDenied) {
		return id, err
	}
	if next, failed := who.replacement(ctx, used); failed == nil && next != used {
		if id, err = service.project(ctx, next, name); err == nil {
			return id, nil
		}
	}
	return "", fmt.Errorf("%w: %s", err, who.hint())
}

package functiongraph

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// errNoProject says how to name one.
var errNoProject = fmt.Errorf("%w: no project: set HUAWEICLOUD_SDK_PROJECT_ID to its id, or ARCHIVER_PROJECT to its name", ErrOptions)

// projectName is the name to look a project up by: the region's own project has
// its name.
func (o *Options) projectName() string {
	if o.Project != "" {
		return o.Project
	}
	return o.Region
}

// projectID is the project's id: as given, as the SDK's profile has it, as a
// user's token says, or looked up.
func projectID(ctx context.Context, o Options, who identity, caller *extract.Caller) (string, error) {
	if o.ProjectID != "" {
		if o.Project != "" {
			return "", fmt.Errorf("%w: HUAWEICLOUD_SDK_PROJECT_ID and ARCHIVER_PROJECT are both set: one of them is enough", ErrOptions)
		}
		return o.ProjectID, nil
	}
	if f, ok := who.(*found); ok { // what a profile says as well, unless told otherwise
		if o.Project == "" && f.sdk.ProjectId != "" {
			return f.sdk.ProjectId, nil
		}
		o.IAMEndpoint = cmp.Or(o.IAMEndpoint, f.sdk.IamEndpoint)
	}
	name := o.projectName()
	if name == "" {
		return "", errNoProject
	}
	service, err := newIdentityService(o, caller)
	if err != nil {
		return "", fmt.Errorf("%w, or HUAWEICLOUD_SDK_PROJECT_ID", err)
	}
	id, err := lookUp(ctx, service, who, name)
	if err != nil && context.Cause(ctx) == nil {
		return "", fmt.Errorf("look up project %s: %w; or set HUAWEICLOUD_SDK_PROJECT_ID", name, err)
	}
	return id, err
}

func lookUp(ctx context.Context, service *identityService, who identity, name string) (string, error) {
	p, err := who.proof(ctx)
	if err != nil {
		return "", err
	}
	if u, ok := who.(*user); ok {
		if t, _ := u.current(); t.project != "" {
			return t.project, nil // the token is for it
		}
	}
	id, err := service.project(ctx, p, name)
	if !errors.Is(err, archive.ErrDenied) {
		return id, err
	}
	if next, failed := who.another(ctx, p); failed == nil && next != p {
		if id, err = service.project(ctx, next, name); err == nil {
			return id, nil
		}
	}
	return "", fmt.Errorf("%w: %s", err, who.check())
}

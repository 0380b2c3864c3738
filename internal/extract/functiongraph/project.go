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

// projectBy is the project's id, as given or as the SDK's profile has it, or
// else where to look it up.
func projectBy(o Options, who identity, caller *extract.Caller) (id string, service *identityService, err error) {
	if o.ProjectID != "" {
		if o.Project != "" {
			return "", nil, fmt.Errorf("%w: HUAWEICLOUD_SDK_PROJECT_ID and ARCHIVER_PROJECT are both set: one of them is enough", ErrOptions)
		}
		return o.ProjectID, nil, nil
	}
	if f, ok := who.(*found); ok { // what a profile says as well, unless told otherwise
		if o.Project == "" && f.sdk.ProjectId != "" {
			return f.sdk.ProjectId, nil, nil
		}
		o.IAMEndpoint = cmp.Or(o.IAMEndpoint, f.sdk.IamEndpoint)
	}
	if o.projectName() == "" {
		return "", nil, errNoProject
	}
	if service, err = newIdentityService(o, caller); err != nil {
		return "", nil, fmt.Errorf("%w, or HUAWEICLOUD_SDK_PROJECT_ID", err)
	}
	return "", service, nil
}

// projectID is the project's id: as projectBy has it, as a user's token says, or
// looked up.
func projectID(ctx context.Context, o Options, who identity, caller *extract.Caller) (string, error) {
	given, service, err := projectBy(o, who, caller)
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

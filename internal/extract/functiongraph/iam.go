package functiongraph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	iam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

// maxIdentity bounds an answer of the identity service in bytes: a token's comes
// with the catalog of all services.
const maxIdentity = 4 << 20

// An identityService is IAM, which knows projects and issues tokens.
type identityService struct {
	caller   *extract.Caller
	endpoint string
}

func newIdentityService(o Options, caller *extract.Caller) (*identityService, error) {
	endpoint, err := iamEndpoint(o)
	if err != nil {
		return nil, err
	}
	return &identityService{caller, endpoint}, nil
}

// projectIDs is how a project's id may be written: it goes into paths.
var projectIDs = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// project looks up a project's id by its name (page: Querying Project
// Information, GET /v3/projects).
func (s *identityService) project(ctx context.Context, p proof, name string) (string, error) {
	var answer struct {
		Projects []struct{ ID, Name string }
	}
	err := s.call(ctx, p.credential(""), iam.GenReqDefForKeystoneListProjects,
		&model.KeystoneListProjectsRequest{Name: &name},
		func(_ http.Header, body io.Reader) error {
			answer.Projects = nil
			if json.NewDecoder(body).Decode(&answer) != nil { // what it says may quote the answer
				return errors.New("the answer is no list of projects")
			}
			return nil
		})
	if err != nil {
		return "", err
	}
	var ids []string
	for _, p := range answer.Projects {
		if p.Name == name && projectIDs.MatchString(p.ID) {
			ids = append(ids, p.ID)
		}
	}
	switch len(ids) {
	case 0:
		return "", fmt.Errorf("%s knows no project of that name for these credentials: set ARCHIVER_PROJECT to another one", s.endpoint)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%s knows %d projects of that name", s.endpoint, len(ids))
}

// A login is what a token is asked for with.
type login struct{ user, password, domain string }

// A token is what IAM issues to a user.
type token struct {
	value   string
	expires time.Time // zero where the answer does not say
	project string    // its id; empty where the answer does not say
}

// token logs a user in to a project, of which the id or the name is given
// (page: Obtaining a User Token Through Password Authentication, POST
// /v3/auth/tokens).
func (s *identityService) token(ctx context.Context, l login, scope model.AuthScopeProject) (token, error) {
	request := &model.KeystoneCreateUserTokenByPasswordRequest{Body: &model.KeystoneCreateUserTokenByPasswordRequestBody{Auth: &model.PwdAuth{
		Identity: &model.PwdIdentity{
			Methods: []model.PwdIdentityMethods{model.GetPwdIdentityMethodsEnum().PASSWORD},
			Password: &model.PwdPassword{User: &model.PwdPasswordUser{
				Name: l.user, Password: l.password, Domain: &model.PwdPasswordUserDomain{Name: l.domain},
			}},
		},
		Scope: &model.AuthScope{Project: &scope},
	}}}
	var got token
	err := s.call(extract.Redact(ctx, l.password), &tokenCredential{}, iam.GenReqDefForKeystoneCreateUserTokenByPassword, request,
		func(header http.Header, body io.Reader) error {
			var answer struct {
				Token struct {
					ExpiresAt string `json:"expires_at"`
					Project   struct{ ID string }
				}
			}
			if json.NewDecoder(body).Decode(&answer) != nil { // what it says may quote the answer
				return errors.New("the answer is no token")
			}
			if got.value = header.Get("X-Subject-Token"); got.value == "" {
				return errors.New("the answer has no X-Subject-Token")
			}
			// RFC 3339 with a fraction; another shape is none.
			got.expires, _ = time.Parse(time.RFC3339, answer.Token.ExpiresAt)
			got.project = ""
			if id := answer.Token.Project.ID; projectIDs.MatchString(id) {
				got.project = id
			}
			return nil
		})
	return got, err
}

// call makes one call of the identity service.
func (s *identityService) call(ctx context.Context, credential auth.ICredential, newDef func() *def.HttpRequestDef, req any, read func(http.Header, io.Reader) error) error {
	err := s.caller.Do(ctx, func(transport http.RoundTripper) error {
		heard := &heard{RoundTripper: transport}
		body, err := send(heard, s.endpoint, credential, newDef(), req)
		if err != nil {
			return err
		}
		defer body.Close()
		return read(heard.header, io.LimitReader(body, maxIdentity))
	})
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	var status *extract.StatusError
	if errors.As(err, &status) {
		switch status.Status {
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("%w: %s %w", archive.ErrDenied, s.endpoint, err)
		}
	}
	return fmt.Errorf("ask %s: %w: check ARCHIVER_IAM_ENDPOINT or ARCHIVER_REGION, and the network", s.endpoint, err)
}

// A heard transport keeps the header of the last answer, which the SDK does not
// hand out with a raw body.
type heard struct {
	http.RoundTripper
	header http.Header
}

// RoundTrip carries a request.
func (h *heard) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(req)
	if err == nil {
		h.header = resp.Header
	}
	return resp, err
}

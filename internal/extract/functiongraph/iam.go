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

// maxIAMAnswer is the most that is read of an answer of the identity service, in
// bytes. The answer with a token also holds the catalog of all services.
const maxIAMAnswer = 4 << 20

// An identityService is IAM, which lists projects and issues tokens.
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

// projectIDs matches valid project ids. An id becomes part of URL paths.
var projectIDs = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// project looks up a project's id by its name (page: Querying Project
// Information, GET /v3/projects).
func (s *identityService) project(ctx context.Context, as credentials, name string) (string, error) {
	var answer struct {
		Projects []struct{ ID, Name string }
	}
	err := s.call(ctx, as.forSDK(""), iam.GenReqDefForKeystoneListProjects,
		&model.KeystoneListProjectsRequest{Name: &name},
		func(_ http.Header, body io.Reader) error {
			answer.Projects = nil
			if json.NewDecoder(body).Decode(&answer) != nil { // the decoder's error may quote the answer
				return errors.New("the answer is not a list of projects")
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
		return "", fmt.Errorf("%s has no project of that name for these credentials: set ARCHIVER_PROJECT to another name", s.endpoint)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%s has %d projects of that name", s.endpoint, len(ids))
}

// A login identifies a user to IAM.
type login struct{ user, password, domain string }

// A token is an IAM user token.
type token struct {
	value   string
	expires time.Time // zero if the answer does not say
	project string    // its project's id; empty if the answer does not say
}

// token logs a user in to a project. scope holds the project's id or name (page:
// Obtaining a User Token Through Password Authentication, POST /v3/auth/tokens).
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
	ctx = extract.WithCall(extract.Redact(ctx, l.password), extract.Call{Login: true})
	err := s.call(ctx, &tokenCredential{}, iam.GenReqDefForKeystoneCreateUserTokenByPassword, request,
		func(header http.Header, body io.Reader) error {
			var answer struct {
				Token struct {
					ExpiresAt string `json:"expires_at"`
					Project   struct{ ID string }
				}
			}
			if json.NewDecoder(body).Decode(&answer) != nil { // the decoder's error may quote the answer
				return errors.New("the answer is not a token")
			}
			if got.value = header.Get("X-Subject-Token"); got.value == "" {
				return errors.New("the answer has no X-Subject-Token")
			}
			// RFC 3339 with a fraction. In another format it counts as unknown.
			got.expires, _ = time.Parse(time.RFC3339, answer.Token.ExpiresAt)
			got.project = ""
			if id := answer.Token.Project.ID; projectIDs.MatchString(id) {
				got.project = id
			}
			return nil
		})
	return got, err
}

func (s *identityService) call(ctx context.Context, credential auth.ICredential, newDef func() *def.HttpRequestDef, req any, read func(http.Header, io.Reader) error) error {
	err := s.caller.Do(ctx, func(transport http.RoundTripper) error {
		recorder := &headerRecorder{RoundTripper: transport}
		body, err := send(recorder, s.endpoint, credential, newDef(), req)
		if err != nil {
			return err
		}
		defer body.Close()
		return read(recorder.header, io.LimitReader(body, maxIAMAnswer))
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

// A headerRecorder keeps the header of the last answer, because the SDK returns
// a raw body without the header.
type headerRecorder struct {
	http.RoundTripper
	header http.Header
}

// RoundTrip sends a request.
func (h *headerRecorder) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := h.RoundTripper.RoundTrip(req)
	if err == nil {
		h.header = resp.Header
	}
	return resp, err
}

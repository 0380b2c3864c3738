package simulate_test

import (
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/global"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	iam "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"

	"archiver/internal/simulate"
)

const (
	user     = "reader"
	password = `pass"word`
	domain   = "an-account"
)

func withUser(o *simulate.Options) { o.User, o.Password, o.Domain = user, password, domain }

// identityClient is the real SDK's client of the identity service.
func identityClient(t *testing.T, endpoint, secretKey string) *iam.IamClient {
	t.Helper()
	credentials, err := global.NewCredentialsBuilder().WithAk(accessKey).WithSk(secretKey).WithDomainId("d").SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	c, err := iam.IamClientBuilder().WithEndpoints([]string{endpoint}).WithCredential(credentials).
		WithHttpConfig(config.DefaultHttpConfig()).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return iam.NewIamClient(c)
}

func tokenFor(user, password, domain string, scope model.AuthScopeProject) *model.KeystoneCreateUserTokenByPasswordRequest {
	return &model.KeystoneCreateUserTokenByPasswordRequest{Body: &model.KeystoneCreateUserTokenByPasswordRequestBody{Auth: &model.PwdAuth{
		Identity: &model.PwdIdentity{
			Methods:  []model.PwdIdentityMethods{model.GetPwdIdentityMethodsEnum().PASSWORD},
			Password: &model.PwdPassword{User: &model.PwdPasswordUser{Name: user, Password: password, Domain: &model.PwdPasswordUserDomain{Name: domain}}},
		},
		Scope: &model.AuthScope{Project: &scope},
	}}}
}

// callWith returns the status of an API call with this token.
func callWith(t *testing.T, endpoint, token string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, endpoint+"/v2/"+projectID+"/fgs/functions", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// A user gets a token for the project, named by id or name. The token is valid
// until it expires or the user's tokens are revoked.
func TestSDKToken(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64
	s, h := serve(t, generate(t, 1, 10), withUser, func(o *simulate.Options) {
		o.Now = func() time.Time { return noon.Add(time.Duration(passed.Load())) }
		o.TokenLife, o.ProjectName = time.Hour, "eu-de_shop"
	})
	c := identityClient(t, h.URL, secretKey)
	var tokens []string
	for _, scope := range []model.AuthScopeProject{{Id: ptr(projectID)}, {Name: ptr("eu-de_shop")}} {
		answer, err := c.KeystoneCreateUserTokenByPassword(tokenFor(user, password, domain, scope))
		if err != nil {
			t.Fatal(err)
		}
		if answer.HttpStatusCode != http.StatusCreated || answer.Token.ExpiresAt != "2026-03-14T13:00:00.000000Z" || answer.Token.Project.Id != projectID {
			t.Errorf("answer: %d %s", answer.HttpStatusCode, answer.Token)
		}
		if status := callWith(t, h.URL, *answer.XSubjectToken); status != http.StatusOK {
			t.Errorf("the token is answered %d", status)
		}
		tokens = append(tokens, *answer.XSubjectToken)
	}
	if tokens[0] == tokens[1] || s.Stats().KeystoneCreateUserTokenByPassword != 2 {
		t.Errorf("tokens %q, stats %+v", tokens, s.Stats())
	}
	passed.Store(int64(time.Hour - 1))
	if status := callWith(t, h.URL, tokens[0]); status != http.StatusOK {
		t.Errorf("just before its end it is answered %d", status)
	}
	passed.Store(int64(time.Hour))
	if status := callWith(t, h.URL, tokens[0]); status != http.StatusForbidden {
		t.Errorf("at its end it is answered %d", status)
	}
	passed.Store(0)
	s.Revoke()
	if status := callWith(t, h.URL, tokens[1]); status != http.StatusForbidden {
		t.Errorf("once revoked it is answered %d", status)
	}
	for name, wrong := range map[string]*model.KeystoneCreateUserTokenByPasswordRequest{
		"user":            tokenFor("other", password, domain, model.AuthScopeProject{Id: ptr(projectID)}),
		"password":        tokenFor(user, "other", domain, model.AuthScopeProject{Id: ptr(projectID)}),
		"domain":          tokenFor(user, password, "other", model.AuthScopeProject{Id: ptr(projectID)}),
		"project id":      tokenFor(user, password, domain, model.AuthScopeProject{Id: ptr("other")}),
		"name of project": tokenFor(user, password, domain, model.AuthScopeProject{Name: ptr("other")}),
		"scope":           tokenFor(user, password, domain, model.AuthScopeProject{}),
	} {
		var e *sdkerr.ServiceResponseError
		if _, err := c.KeystoneCreateUserTokenByPassword(wrong); !errors.As(err, &e) || e.StatusCode != http.StatusUnauthorized {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if n := s.Stats().Unauthorized; n != 6 {
		t.Errorf("%d calls were refused", n)
	}
}

// Without a configured user nobody can sign in, not even with empty fields.
func TestNoUser(t *testing.T) {
	t.Parallel()
	_, h := serve(t, generate(t, 1, 1))
	_, err := identityClient(t, h.URL, secretKey).KeystoneCreateUserTokenByPassword(tokenFor("", "", "", model.AuthScopeProject{Id: ptr(projectID)}))
	if err == nil {
		t.Error("signed in")
	}
}

// Projects are listed for signed requests and for requests with a token.
func TestSDKProjects(t *testing.T) {
	t.Parallel()
	_, h := serve(t, generate(t, 1, 1), func(o *simulate.Options) { o.ProjectName = "eu-de_shop" })
	c := identityClient(t, h.URL, secretKey)
	for name, want := range map[string]int{"eu-de_shop": 1, "eu-de": 0} {
		answer, err := c.KeystoneListProjects(&model.KeystoneListProjectsRequest{Name: &name})
		if err != nil {
			t.Fatal(err)
		}
		if got := *answer.Projects; len(got) != want || want == 1 && (got[0].Id != projectID || got[0].Name != name) {
			t.Errorf("%s: %v", name, got)
		}
	}
	all, err := c.KeystoneListProjects(&model.KeystoneListProjectsRequest{})
	if err != nil || len(*all.Projects) < 2 {
		t.Errorf("all: %v, %v", all, err)
	}
	var e *sdkerr.ServiceResponseError
	if _, err := identityClient(t, h.URL, "wrong").KeystoneListProjects(&model.KeystoneListProjectsRequest{}); !errors.As(err, &e) || e.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong key: %v", err)
	}
	for path, status := range map[string]int{"/v3/projects": http.StatusUnauthorized, "/v3/users": http.StatusNotFound, "/v3/auth/tokens": http.StatusNotFound} {
		resp, err := http.Get(h.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if resp.StatusCode != status {
			t.Errorf("GET %s: %d", path, resp.StatusCode)
		}
	}
}

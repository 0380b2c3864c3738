package simulate

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
)

// DefaultTokenLife is how long a token is valid (page: Obtaining a User Token).
const DefaultTokenLife = 24 * time.Hour

// identityPrefix begins the paths of the identity service, which has its own host
// in the real cloud. The rate limit and faults do not apply to it.
const identityPrefix = "/v3/"

// tokens are the issued tokens.
type tokens struct {
	mu      sync.Mutex
	expires map[string]time.Time
}

func (t *tokens) valid(token string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	expires, issued := t.expires[token]
	return issued && now.Before(expires)
}

// issue makes a token and forgets expired ones.
func (t *tokens) issue(now time.Time, life time.Duration) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, expires := range t.expires {
		if !now.Before(expires) {
			delete(t.expires, token)
		}
	}
	if t.expires == nil {
		t.expires = map[string]time.Time{}
	}
	token := "MIIF" + rand.Text()
	t.expires[token] = now.Add(life)
	return token
}

// Revoke invalidates all tokens issued so far, as a change of the user's password
// does.
func (s *Server) Revoke() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.expires)
}

// identityRefusal is an error answer of the identity service.
type identityRefusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Title   string `json:"title"`
}

func (e *identityRefusal) Error() string { return e.Message }

func refusedIdentity(status int, message string) *identityRefusal {
	return &identityRefusal{status, message, http.StatusText(status)}
}

// serveIdentity answers the two calls of the identity service that signing in
// needs.
func (s *Server) serveIdentity(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.Method + " " + strings.TrimSuffix(r.URL.Path, "/") {
	case "POST /v3/auth/tokens":
		err = s.createToken(w, r)
	case "GET /v3/projects":
		err = s.listProjects(w, r)
	default:
		err = refusedIdentity(http.StatusNotFound, "no such path")
	}
	if err == nil {
		s.log(r, slog.LevelDebug, "call answered")
		return
	}
	var refused *identityRefusal
	if !errors.As(err, &refused) {
		s.refuse(w, r, err)
		return
	}
	s.stats.refused(refused.Code)
	s.log(r, slog.LevelDebug, "call refused", slog.Int("status", refused.Code), slog.String("error", refused.Message))
	if err := answerJSON(w, refused.Code, map[string]any{"error": refused}); err != nil {
		s.refuse(w, r, err)
	}
}

// named has an id, a name, or both.
type named struct {
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
}

// tokenRequest is the body of a request for a token (page: Obtaining a User
// Token Through Password Authentication).
type tokenRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					Name     string `json:"name"`
					Password string `json:"password"`
					Domain   named  `json:"domain"`
				} `json:"user"`
			} `json:"password"`
		} `json:"identity"`
		Scope struct {
			Project *named `json:"project"`
		} `json:"scope"`
	} `json:"auth"`
}

// createToken answers KeystoneCreateUserTokenByPassword.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	var request tokenRequest
	if json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&request) != nil {
		return refusedIdentity(http.StatusBadRequest, "the body is not a token request")
	}
	o, user, scope := &s.options, &request.Auth.Identity.Password.User, request.Auth.Scope.Project
	if methods := request.Auth.Identity.Methods; len(methods) != 1 || methods[0] != "password" {
		return refusedIdentity(http.StatusBadRequest, "the only method must be password")
	}
	// All three are compared, so that the time does not tell which one is wrong.
	known := sameSecret(user.Name, o.User)
	known = sameSecret(user.Password, o.Password) && known
	if known = sameSecret(user.Domain.Name, o.Domain) && known; !known || o.User == "" {
		return refusedIdentity(http.StatusUnauthorized, "The username or password is wrong.")
	}
	if scope == nil || scope.ID != "" && scope.ID != o.ProjectID || scope.Name != "" && scope.Name != o.ProjectName || *scope == (named{}) {
		return refusedIdentity(http.StatusUnauthorized, "The scope is not a project of the user.")
	}
	s.stats.add(&s.stats.KeystoneCreateUserTokenByPassword, 1)
	now := o.Now().UTC()
	const layout = "2006-01-02T15:04:05.000000Z"
	domain := named{ID: domainID, Name: o.Domain}
	w.Header().Set("X-Subject-Token", s.tokens.issue(now, o.TokenLife))
	return answerJSON(w, http.StatusCreated, map[string]any{"token": map[string]any{
		"expires_at": now.Add(o.TokenLife).Format(layout),
		"issued_at":  now.Format(layout),
		"methods":    []string{"password"},
		"catalog":    []any{},
		"roles":      []named{{ID: "0", Name: "readonly"}},
		"user":       map[string]any{"id": userID, "name": o.User, "domain": domain, "password_expires_at": ""},
		"project":    map[string]any{"id": o.ProjectID, "name": o.ProjectName, "domain": domain},
	}})
}

// The ids of the account and of its user.
const (
	domainID = "d0a1c0de5eedd0a1c0de5eedd0a1c0de"
	userID   = "05e7c0de5eed05e7c0de5eed05e7c0de"
)

// listProjects answers KeystoneListProjects (page: Querying Project Information).
func (s *Server) listProjects(w http.ResponseWriter, r *http.Request) error {
	if refused := s.authenticate(r); refused != nil {
		return refusedIdentity(http.StatusUnauthorized, refused.message)
	}
	s.stats.add(&s.stats.KeystoneListProjects, 1)
	o := &s.options
	projects := []map[string]any{}
	for _, p := range []named{{o.ProjectID, o.ProjectName}, {"0b5c0de5eed0b5c0de5eed0b5c0de5ee", "MOS"}} {
		if name := r.URL.Query().Get("name"); name == "" || name == p.Name {
			projects = append(projects, map[string]any{
				"id": p.ID, "name": p.Name, "domain_id": domainID, "parent_id": domainID,
				"is_domain": false, "enabled": true, "description": "",
				"links": map[string]string{"self": "/v3/projects/" + p.ID},
			})
		}
	}
	return answerJSON(w, http.StatusOK, map[string]any{
		"projects": projects, "links": map[string]any{"self": "/v3/projects", "next": nil, "previous": nil},
	})
}

package settings

import (
	"strings"

	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/extract/functiongraph"
)

// Credentials are the secrets that a source signs in with. A source whose secrets
// stand in the configuration file uses none of the environment.
type Credentials struct {
	AuthToken, Password, AccessKey, SecretKey, SecurityToken extract.Secret
}

const (
	// A key of a secret in the configuration file ends with one of these.
	keyOfFile     = "-file" // the value is the path of a file with the secret
	keyOfVariable = "-env"  // the value is the name of a variable with the secret

	// databaseKey is the secret of the process.
	databaseKey      = "database-url"
	databaseVariable = "DATABASE_URL"

	projectVariable = "HUAWEICLOUD_SDK_PROJECT_ID"
)

// A SecretKind is one of the Credentials.
type SecretKind struct {
	Key       string            // in the configuration file, without its end
	Variables map[string]string // the default variable, by provider
	Help      string

	in func(*Credentials) *extract.Secret
}

// SecretKinds are in the order in which they are printed.
var SecretKinds = []SecretKind{
	{
		"auth-token", map[string]string{functiongraph.Provider: "ARCHIVER_AUTH_TOKEN"}, "An IAM user token, sent in place of signing.",
		func(c *Credentials) *extract.Secret { return &c.AuthToken },
	},
	{
		"password", map[string]string{functiongraph.Provider: "ARCHIVER_PASSWORD"}, "The password of username.",
		func(c *Credentials) *extract.Secret { return &c.Password },
	},
	{
		"access-key", map[string]string{functiongraph.Provider: "HUAWEICLOUD_SDK_AK", functioncompute.Provider: "ALIBABA_CLOUD_ACCESS_KEY_ID"}, "The access key that requests are signed with.",
		func(c *Credentials) *extract.Secret { return &c.AccessKey },
	},
	{
		"secret-key", map[string]string{functiongraph.Provider: "HUAWEICLOUD_SDK_SK", functioncompute.Provider: "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}, "Its secret key.",
		func(c *Credentials) *extract.Secret { return &c.SecretKey },
	},
	{
		"security-token", map[string]string{functiongraph.Provider: "HUAWEICLOUD_SDK_SECURITY_TOKEN", functioncompute.Provider: "ALIBABA_CLOUD_SECURITY_TOKEN"}, "The security token of temporary keys.",
		func(c *Credentials) *extract.Secret { return &c.SecurityToken },
	},
}

// neededSecrets are pairs of keys: the first is of no use without the second.
var neededSecrets = [][2]string{{"access-key", "secret-key"}, {"secret-key", "access-key"}, {"security-token", "access-key"}}

// credentialsFromEnvironment returns the secrets in the provider's default variables.
func credentialsFromEnvironment(provider string) (c Credentials) {
	for _, kind := range SecretKinds {
		if name := kind.Variables[provider]; name != "" {
			*kind.in(&c) = extract.SecretFrom(name)
		}
	}
	return c
}

// account identifies the account that a source reads, as far as the settings
// tell it.
func (s *Source) account() string {
	parts := []string{s.Provider, s.Region, s.Endpoint, s.ProjectID, s.Project, s.AccountID, s.Username, s.Domain}
	for _, kind := range SecretKinds {
		parts = append(parts, kind.in(&s.Credentials).Name())
	}
	return strings.Join(parts, "\x00")
}

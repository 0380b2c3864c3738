package main

import (
	"archiver/internal/extract"
	"archiver/internal/extract/functioncompute"
	"archiver/internal/extract/functiongraph"
)

// The secrets that a source may sign in with. In the configuration file each is
// a key with one of the endings: a secret itself has no place there.
const (
	authToken     = "auth-token"
	password      = "password"
	accessKey     = "access-key"
	secretKey     = "secret-key"
	securityToken = "security-token"

	fromFile     = "-file" // the value is the path of a file that holds it
	fromVariable = "-env"  // the value is the name of a variable that holds it

	// databaseURL is the process's own secret.
	databaseURL = "database-url"
)

// A secretKind is one of them.
type secretKind struct {
	key       string
	variables map[string]string // that have it where nothing else is said, by provider
	help      string
}

// secretKinds are in the order in which they are shown.
var secretKinds = []secretKind{
	{authToken, map[string]string{functiongraph.Provider: "ARCHIVER_AUTH_TOKEN"}, "An IAM user token, sent in place of signing."},
	{password, map[string]string{functiongraph.Provider: "ARCHIVER_PASSWORD"}, "The password of username."},
	{accessKey, map[string]string{functiongraph.Provider: "HUAWEICLOUD_SDK_AK", functioncompute.Provider: "ALIBABA_CLOUD_ACCESS_KEY_ID"}, "The access key that requests are signed with."},
	{secretKey, map[string]string{functiongraph.Provider: "HUAWEICLOUD_SDK_SK", functioncompute.Provider: "ALIBABA_CLOUD_ACCESS_KEY_SECRET"}, "Its secret key."},
	{securityToken, map[string]string{functiongraph.Provider: "HUAWEICLOUD_SDK_SECURITY_TOKEN", functioncompute.Provider: "ALIBABA_CLOUD_SECURITY_TOKEN"}, "The security token of temporary keys."},
}

// credentials are the secrets that the configuration file names for a source,
// by their keys. A source with some of its own uses no other ones.
type credentials map[string]extract.Secret

// secret is one of the source's own, or the environment's where it has none.
func (f *sourceFlags) secret(key string) extract.Secret {
	if f.Own != nil {
		return f.Own[key]
	}
	for _, kind := range secretKinds {
		if kind.key == key {
			return extract.SecretFrom(kind.variables[f.Provider])
		}
	}
	return extract.Secret{}
}

package functioncompute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	fc "github.com/alibabacloud-go/fc-open-20210406/client"
	"github.com/aliyun/credentials-go/credentials"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/answer"
)

// Keys sign the requests.
type Keys struct {
	AccessKeyID, AccessKeySecret string
	SecurityToken                string // of temporary keys
}

// Options name the account to read and the credentials.
type Options struct {
	Region    string // such as cn-hangzhou; empty means the endpoint's region
	Endpoint  string // a URL; empty means the account's endpoint in the region
	Insecure  bool   // permits http:// to another machine
	AccountID string // empty means the endpoint's account

	// Keys returns the current keys. It is called for each attempt of a call,
	// so that rotated keys are used at once. If Keys is nil, the SDK searches
	// the environment, profile files, and the metadata service of a cloud host.
	Keys func() (Keys, error)

	IncludePayload bool // request the invocations' payloads, and store them
	PageSize       int  // invocations per call; 0 means the most that the API gives
}

// Check reports errors in the options that are visible without a call. The
// errors match extract.ErrOptions.
func (o Options) Check() error {
	if _, err := newAddress(o); err != nil || o.Keys == nil {
		return err
	}
	if _, err := (&client{keys: o.Keys}).credential(); err != nil {
		return fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	return nil
}

type client struct {
	caller *extract.Caller
	sdk    *fc.Client // each call uses a copy with its own credentials and HTTP client
	keys   func() (Keys, error)
	base   string // the endpoint's URL
}

func newClient(o Options, addr address, caller *extract.Caller) (*client, error) {
	// With these values of DEBUG, the SDK prints whole requests, including
	// security tokens.
	for name := range strings.SplitSeq(os.Getenv("DEBUG"), ",") {
		if name == "tea" || name == "dara" {
			return nil, fmt.Errorf("%w: DEBUG=%s makes the SDK print secrets: unset it", extract.ErrOptions, name)
		}
	}
	c := &client{caller: caller, keys: o.Keys, base: addr.scheme + "://" + addr.host}
	if c.keys == nil {
		c.keys = sdkChain()
	}
	switch _, err := c.credential(); {
	case err != nil && o.Keys == nil:
		return nil, err // may be temporary: the metadata service was called
	case err != nil:
		return nil, fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	sdk, err := fc.NewClient(new(openapi.Config).SetProtocol(addr.scheme).SetEndpoint(addr.host).SetRegionId(addr.region))
	if err != nil {
		return nil, fmt.Errorf("prepare the SDK for %s: %w", c.base, err)
	}
	c.sdk = sdk
	return c, nil
}

// sdkChain returns the SDK's own search for keys. A mutex guards it, because
// parts of the SDK are not safe for concurrent use.
func sdkChain() func() (Keys, error) {
	var mu sync.Mutex
	var found credentials.Credential
	return func() (Keys, error) {
		mu.Lock()
		defer mu.Unlock()
		if found == nil {
			c, err := credentials.NewCredential(nil)
			if err != nil {
				return Keys{}, errNoKeys
			}
			found = c
		}
		model, err := found.GetCredential()
		if err != nil {
			return Keys{}, errNoKeys // its text has several lines, and may quote files
		}
		return Keys{
			AccessKeyID: emptyIfNil(model.AccessKeyId), AccessKeySecret: emptyIfNil(model.AccessKeySecret), SecurityToken: emptyIfNil(model.SecurityToken),
		}, nil
	}
}

func emptyIfNil(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

var errNoKeys = errors.New("no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET")

func (c *client) credential() (credentials.Credential, error) {
	k, err := c.keys()
	if err != nil {
		return nil, err
	}
	for _, secret := range []struct{ name, value string }{
		{"ALIBABA_CLOUD_ACCESS_KEY_ID", k.AccessKeyID}, {"ALIBABA_CLOUD_ACCESS_KEY_SECRET", k.AccessKeySecret},
		{"ALIBABA_CLOUD_SECURITY_TOKEN", k.SecurityToken},
	} {
		if strings.ContainsFunc(secret.value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			return nil, fmt.Errorf("%s contains a space or a line break", secret.name)
		}
	}
	if k.AccessKeyID == "" || k.AccessKeySecret == "" {
		return nil, errNoKeys
	}
	kind := "access_key"
	if k.SecurityToken != "" {
		kind = "sts"
	}
	found, err := credentials.NewCredential(&credentials.Config{
		Type: &kind, AccessKeyId: &k.AccessKeyID, AccessKeySecret: &k.AccessKeySecret, SecurityToken: &k.SecurityToken,
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the credentials: %w", err)
	}
	return found, nil
}

// An httpClient is the HTTP client of one attempt of a call. It sends requests
// over the attempt's transport and decodes the answer. The SDK then decodes an
// empty object.
type httpClient struct {
	transport http.RoundTripper
	read      func(io.Reader) error
	err       error // of read
}

// Call is called by the SDK. The SDK's own transport is not used.
func (c *httpClient) Call(req *http.Request, _ *http.Transport) (*http.Response, error) {
	// The SDK writes header names in lower case, and adds headers for a proxy.
	header := make(http.Header, len(req.Header))
	for name, values := range req.Header {
		if name = http.CanonicalHeaderKey(name); name != "Host" && name != "Proxy-Authorization" {
			header[name] = values
		}
	}
	req.Header = header
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if c.err = c.read(resp.Body); c.err != nil {
		return nil, c.err
	}
	resp.Body = io.NopCloser(strings.NewReader("{}"))
	return resp, nil
}

// call makes one call of the API; read decodes the answer.
func (c *client) call(ctx context.Context, permission string, ask func(*fc.Client) error, read func(io.Reader) error) error {
	read = answer.Insist(read)
	err := c.caller.Do(ctx, func(transport http.RoundTripper) error {
		signing, err := c.credential()
		if err != nil {
			return err
		}
		client := &httpClient{transport: transport, read: read}
		sdk := *c.sdk
		sdk.Credential, sdk.HttpClient = signing, client
		if err := ask(&sdk); err != nil && client.err == nil {
			// The SDK's error has several lines and quotes the answer. The
			// Caller keeps the real error.
			return fmt.Errorf("the SDK failed: %s", strings.Join(strings.Fields(err.Error()), " "))
		}
		return client.err
	})
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return c.explain(err, permission)
}

// explain marks an error with the archive's error values, and adds what the
// operator can do.
func (c *client) explain(err error, permission string) error {
	var status *extract.StatusError
	if !errors.As(err, &status) {
		if !c.caller.Answered() {
			return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION, and the network", err)
		}
		return err
	}
	switch {
	case notFoundCodes[status.Code] != nothing:
		return err
	case status.Status == http.StatusForbidden:
		return fmt.Errorf("%w: %w: the user needs the permission %s; or check the credentials and this machine's clock", archive.ErrDenied, err, permission)
	case denied(status):
		return fmt.Errorf("%w: %w: check the credentials and this machine's clock, and the permission %s of the user",
			archive.ErrDenied, err, permission)
	case status.Throttled():
		return fmt.Errorf("%w: lower ARCHIVER_RATE or ARCHIVER_CONCURRENCY", err)
	case status.Status < 400, status.Status == http.StatusNotFound:
		return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION: this does not look like Function Compute", err)
	}
	return err
}

// A missingThing is what a call for invocations does not find.
type missingThing int

const (
	nothing missingThing = iota
	theFunction
	theQualifier
	theFeature // asynchronous tasks are switched off
)

// notFoundCodes are the codes of Function Compute for what does not exist, with any
// status (page: Error codes). The status 404 alone says nothing: a wrong address also
// answers 404.
var notFoundCodes = map[string]missingThing{
	"FunctionNotFound": theFunction, "ServiceNotFound": theFunction,
	"AliasNotFound": theQualifier, "VersionNotFound": theQualifier,
	"AsyncConfigNotExists": theFeature,
}

// missing returns what a call did not find.
func missing(err error) missingThing {
	var status *extract.StatusError
	if !errors.As(err, &status) {
		return nothing
	}
	return notFoundCodes[status.Code]
}

// denied reports whether the source refused the credentials: with 401 or 403,
// or, as this cloud's gateways do, with 400 or 404 and one of these codes.
func denied(e *extract.StatusError) bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
		slices.ContainsFunc([]string{
			"InvalidAccessKeyI", "SignatureDoesNotMatch", "SignatureNotMatch", "IncompleteSignature",
			"InvalidSecurityToken", "MissingSecurityToken", "InvalidTimeStamp", "Forbidden",
		}, func(prefix string) bool { return strings.HasPrefix(e.Code, prefix) })
}

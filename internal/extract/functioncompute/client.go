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
)

// Keys sign the calls.
type Keys struct {
	AccessKeyID, AccessKeySecret string
	SecurityToken                string // of temporary keys
}

// Options say which account is read, and as whom.
type Options struct {
	Region    string // such as cn-hangzhou; empty to be taken from the endpoint
	Endpoint  string // a URL; empty for the account's own in the region
	Insecure  bool   // permits http:// beyond loopback
	AccountID string // empty to be taken from the endpoint

	// Keys is asked at each try of a call, so that what has been rotated since
	// is picked up. nil leaves the keys to the SDK's own chain: environment,
	// profile files, the metadata service of a cloud host.
	Keys func() (Keys, error)

	IncludePayload bool // ask for what the functions were called with, and keep it
	PageSize       int  // invocations asked for at a time; 0 for as many as the API gives
}

// Check says what is wrong with the options, as far as that can be told without
// asking anybody. Its errors match extract.ErrOptions.
func (o Options) Check() error {
	if _, err := newAddress(o); err != nil || o.Keys == nil {
		return err
	}
	if _, err := (&client{keys: o.Keys}).signing(); err != nil {
		return fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	return nil
}

// A client makes calls of one account in one region.
type client struct {
	caller *extract.Caller
	sdk    *fc.Client // without credentials and HTTP client: each call has its own
	keys   func() (Keys, error)
	base   string // the endpoint's URL
}

func newClient(o Options, at address, caller *extract.Caller) (*client, error) {
	// The SDK prints whole requests, security tokens included, where these are
	// in DEBUG.
	for name := range strings.SplitSeq(os.Getenv("DEBUG"), ",") {
		if name == "tea" || name == "dara" {
			return nil, fmt.Errorf("%w: DEBUG=%s makes the SDK print secrets: unset it", extract.ErrOptions, name)
		}
	}
	c := &client{caller: caller, keys: o.Keys, base: at.scheme + "://" + at.host}
	if c.keys == nil {
		c.keys = chain()
	}
	switch _, err := c.signing(); {
	case err != nil && o.Keys == nil:
		return nil, err // of the moment, it may be: the metadata service was asked
	case err != nil:
		return nil, fmt.Errorf("%w: %w", extract.ErrOptions, err)
	}
	sdk, err := fc.NewClient(new(openapi.Config).SetProtocol(at.scheme).SetEndpoint(at.host).SetRegionId(at.region))
	if err != nil {
		return nil, fmt.Errorf("prepare the SDK for %s: %w", c.base, err)
	}
	c.sdk = sdk
	return c, nil
}

// chain is the SDK's own search for keys. Not all of its parts may be asked by
// several at once.
func chain() func() (Keys, error) {
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
			return Keys{}, errNoKeys // its own words have lines of their own, and may repeat files
		}
		var k Keys
		for to, from := range map[*string]*string{
			&k.AccessKeyID: model.AccessKeyId, &k.AccessKeySecret: model.AccessKeySecret, &k.SecurityToken: model.SecurityToken,
		} {
			if from != nil {
				*to = *from
			}
		}
		return k, nil
	}
}

var errNoKeys = errors.New("no credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET")

// signing is what signs a call.
func (c *client) signing() (credentials.Credential, error) {
	k, err := c.keys()
	if err != nil {
		return nil, err
	}
	for _, secret := range []struct{ name, value string }{
		{"ALIBABA_CLOUD_ACCESS_KEY_ID", k.AccessKeyID}, {"ALIBABA_CLOUD_ACCESS_KEY_SECRET", k.AccessKeySecret},
		{"ALIBABA_CLOUD_SECURITY_TOKEN", k.SecurityToken},
	} {
		if strings.ContainsFunc(secret.value, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			return nil, fmt.Errorf("%s has a space or a line break in it", secret.name)
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

// A carrier is the HTTP client of one call: it goes through the transport of
// that call's try, and reads the answer. The SDK gets an empty object to make
// of it what it likes.
type carrier struct {
	transport http.RoundTripper
	read      func(io.Reader) error
	err       error // of reading
}

// Call is called by the SDK, with a transport of its own that is left alone.
func (c *carrier) Call(req *http.Request, _ *http.Transport) (*http.Response, error) {
	// The SDK writes names in small letters, and adds what is for a proxy.
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

// call makes one call of the API and has its answer read.
func (c *client) call(ctx context.Context, permission string, ask func(*fc.Client) error, read func(io.Reader) error) error {
	err := c.caller.Do(ctx, func(transport http.RoundTripper) error {
		signing, err := c.signing()
		if err != nil {
			return err
		}
		carrier := &carrier{transport: transport, read: read}
		sdk := *c.sdk
		sdk.Credential, sdk.HttpClient = signing, carrier
		if err := ask(&sdk); err != nil && carrier.err == nil {
			// Of several lines, with all that came of the answer. What the
			// answer was, the Caller knows.
			return fmt.Errorf("the SDK gave up: %s", strings.Join(strings.Fields(err.Error()), " "))
		}
		return carrier.err
	})
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	return c.explained(err, permission)
}

// explained gives an error of a call the meaning that the loop knows, and says
// what to do about it.
func (c *client) explained(err error, permission string) error {
	var status *extract.StatusError
	if !errors.As(err, &status) {
		if !c.caller.Answered() {
			return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION, and the network", err)
		}
		return err
	}
	switch {
	case denied(status):
		return fmt.Errorf("%w: %w: check the credentials and this machine's clock, and that the user has the permission %s",
			archive.ErrDenied, err, permission)
	case status.Throttled():
		return fmt.Errorf("%w: lower ARCHIVER_RATE or ARCHIVER_CONCURRENCY", err)
	case status.Status < 400, status.Status == http.StatusNotFound && !gone(status):
		return fmt.Errorf("%w: check ARCHIVER_ENDPOINT or ARCHIVER_REGION: this does not look like Function Compute", err)
	}
	return err
}

// gone reports whether there is no such function (any more), which is not said
// by 404 alone: a wrong address answers that as well.
func gone(e *extract.StatusError) bool {
	return e.Status == http.StatusNotFound && (e.Code == "FunctionNotFound" || e.Code == "ServiceNotFound")
}

// denied reports whether the credentials are refused: by 401 and 403, or, as
// gateways of this cloud do it, by the code of a 400 or a 404.
func denied(e *extract.StatusError) bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
		slices.ContainsFunc([]string{
			"InvalidAccessKeyI", "SignatureDoesNotMatch", "SignatureNotMatch", "IncompleteSignature",
			"InvalidSecurityToken", "MissingSecurityToken", "InvalidTimeStamp", "Forbidden",
		}, func(prefix string) bool { return strings.HasPrefix(e.Code, prefix) })
}

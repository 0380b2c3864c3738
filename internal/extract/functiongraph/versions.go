package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
	"archiver/internal/extract/answer"
)

// latestVersion is the version that the list of functions contains, and the
// version of a URN that names none. Only the latest version can be edited; each
// other version is a published copy of it.
const latestVersion = "latest"

// maxVersions is the page size of the list of versions. No page documents the
// largest one.
const maxVersions = 100

const permissionVersions = `to list versions and aliases (the policy "FunctionGraph ReadOnlyAccess" has it), or give --versions latest`

// Versions lists a function's versions, without the latest one (page: Querying
// the Versions of a Function).
func (s *Source) Versions(ctx context.Context, f archive.Function) ([]archive.Function, error) {
	var versions []archive.Function
	seen := make(map[string]struct{})
	for list := 1; ; list++ {
		counted, read, unusable, err := s.versions(ctx, f)
		if err != nil {
			return nil, listError(ctx, "versions", f, err)
		}
		versions = append(versions, dropSeen(read, seen)...)
		if counted > len(seen)+unusable && list < maxListings {
			continue
		}
		latest := withoutVersion(f.URN) + ":" + latestVersion
		versions = slices.DeleteFunc(versions, func(v archive.Function) bool { return v.URN == latest })
		switch {
		case counted > len(seen)+unusable:
			err = fmt.Errorf("list the versions of %s: the source's count is %d, its list has %d", f.Name, counted, len(seen)+unusable)
		case unusable > 0:
			err = fmt.Errorf("list the versions of %s: a URN cannot contain the names of %d of them", f.Name, unusable)
		}
		return versions, err
	}
}

// Aliases lists the aliases of a function's versions (page: Querying All Version
// Aliases of a Function).
func (s *Source) Aliases(ctx context.Context, f archive.Function) (aliases []archive.Alias, err error) {
	ctx = extract.WithCall(ctx, extract.Call{Function: f.URN})
	aliases, err = callForList(ctx, s.client, functiongraph.GenReqDefForListVersionAliases,
		&model.ListVersionAliasesRequest{FunctionUrn: f.URN, ContentType: contentType}, decodeAliases)
	if err != nil {
		return nil, listError(ctx, "aliases", f, err)
	}
	return aliases, nil
}

func listError(ctx context.Context, what string, f archive.Function, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("list the %s of %s: %w", what, f.Name, noVersionsOr(goneOr(err)))
}

// noVersionsOr marks an error with archive.ErrNoVersions if the service does not
// have the list. Then a gateway answers with a status such as 404, or the answer
// has no list.
func noVersionsOr(err error) error {
	var status *extract.StatusError
	if errors.As(err, &status) && !fromFunctionGraph(status) &&
		slices.Contains([]int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}, status.Status) {
		return fmt.Errorf("%w: %w", archive.ErrNoVersions, status)
	}
	if errors.As(err, new(*answer.MissingListError)) {
		return fmt.Errorf("%w: %w", archive.ErrNoVersions, err)
	}
	return err
}

// versions lists the versions once, including the latest version.
func (s *Source) versions(ctx context.Context, f archive.Function) (counted int, versions []archive.Function, unusable int, err error) {
	ctx = extract.WithCall(ctx, extract.Call{Function: f.URN})
	base := withoutVersion(f.URN)
	limit := strconv.Itoa(maxVersions)
	pages := readPages(maxVersions, func(marker *string) (versionList, error) {
		return callForList(ctx, s.client, functiongraph.GenReqDefForListFunctionVersions,
			&model.ListFunctionVersionsRequest{FunctionUrn: f.URN, Marker: marker, Maxitems: &limit, ContentType: contentType},
			decodeVersions)
	})
	for list, err := range pages {
		if err != nil {
			return 0, nil, 0, err
		}
		counted, unusable = list.count, unusable+list.unusable
		for _, version := range list.versions {
			versions = append(versions, archive.Function{URN: base + ":" + version, Name: f.Name})
		}
	}
	return counted, versions, unusable, nil
}

// callForList is call for the lists of versions and aliases. It does not retry an
// answer without a list: a service that lacks the list answers the same again.
func callForList[T any](ctx context.Context, c *client, newDef func() *def.HttpRequestDef, req any, decode func(io.Reader) (T, error)) (T, error) {
	var absent error
	list, err := call(ctx, c, newDef, req, permissionVersions, func(body io.Reader) (T, error) {
		list, err := decode(body)
		var missing *answer.MissingListError
		if errors.As(err, &missing) && !missing.Null {
			absent, err = missing, nil
		}
		return list, err
	})
	if err == nil {
		err = absent
	}
	return list, err
}

// withoutVersion removes the version from a function's URN:
// urn:fss:region:project:function:package:name:version.
func withoutVersion(urn string) string {
	if parts := strings.Split(urn, ":"); len(parts) > 7 {
		return strings.Join(parts[:7], ":")
	}
	return urn
}

// A versionList is one decoded page of the list of versions.
type versionList struct {
	pageSummary
	versions []string
	unusable int
}

// decodeVersions reads a page of versions. A version's name is in its field
// "version", or else the last part of its URN.
func decodeVersions(body io.Reader) (l versionList, err error) {
	var objects answer.ObjectReader
	var texts answer.TextReader
	l.pageSummary, err = decodeList(body, "versions", maxVersions, func(element answer.Element) (key string) {
		var urn, version string
		for name, value := range objects.Members(element.Value) {
			switch {
			case value.Kind() != '"' && value.Kind() != '0':
			case string(name) == "func_urn":
				urn = texts.Text(value)
			case string(name) == "version":
				version = texts.Text(value)
			}
		}
		if parts := strings.Split(urn, ":"); version == "" && len(parts) == 8 {
			version = parts[7]
		}
		if version == "" || len(version) > maxURN || strings.ContainsFunc(version, invalidInVersion) {
			l.unusable++
			return ""
		}
		l.versions = append(l.versions, version)
		return version
	})
	return l, err
}

// invalidInVersion reports whether a character cannot be in a version's name.
func invalidInVersion(r rune) bool {
	return strings.ContainsRune(":/?#%!", r) || !unicode.IsPrint(r) || unicode.IsSpace(r)
}

// decodeAliases reads the aliases: one list without an object around it, not
// divided into pages.
func decodeAliases(body io.Reader) (aliases []archive.Alias, err error) {
	var objects answer.ObjectReader
	var texts answer.TextReader
	listed, err := answer.ReadList(body, func(element answer.Element) {
		var a archive.Alias
		for name, value := range objects.Members(element.Value) {
			switch {
			case string(name) == "additional_version_weights" && value.Kind() == '{':
				a.Additional = answer.StorableValue(value)
			case value.Kind() != '"':
			case string(name) == "name":
				a.Name = texts.Text(value)
			case string(name) == "version":
				a.Version = texts.Text(value)
			case string(name) == "description":
				a.Description = texts.Text(value)
			}
		}
		if a.Name != "" && a.Version != "" && max(len(a.Name), len(a.Version)) <= maxURN {
			aliases = append(aliases, a)
		}
	})
	if err == nil && !listed {
		err = &answer.MissingListError{Name: "list"}
	}
	return aliases, err
}

var _ archive.Versioner = (*Source)(nil)

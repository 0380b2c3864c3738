package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/archive"
	"archiver/internal/extract"
)

const (
	// maxSettings is the largest page (SDK: ListFunctionAsyncInvokeConfigRequest,
	// limit). A page of defaultSettings counts as full, because a source may
	// ignore the requested limit and use its default (page: Querying Asynchronous
	// Execution Notification Settings of a Function's All Versions, limit).
	maxSettings     = 100
	defaultSettings = 10

	// No page names the action that permits to read the settings.
	permissionSettings = `to read asynchronous invocation settings (the policy "FunctionGraph ReadOnlyAccess" has it)`
)

// Settings lists the asynchronous invocation settings of all versions of a
// function. If the source answers 404, the list is empty: reading the
// invocations shows whether the function exists.
func (s *Source) Settings(ctx context.Context, f archive.Function) iter.Seq2[archive.SettingsPage, error] {
	ctx = extract.WithCall(ctx, extract.Call{Function: f.URN})
	limit := strconv.Itoa(maxSettings)
	pages := readPages(defaultSettings, func(marker *string) (settingList, error) {
		return call(ctx, s.client, functiongraph.GenReqDefForListFunctionAsyncInvokeConfig,
			&model.ListFunctionAsyncInvokeConfigRequest{
				FunctionUrn: f.URN, Marker: marker, Limit: &limit, ContentType: contentType,
			},
			permissionSettings, decodeSettings)
	})
	return func(yield func(archive.SettingsPage, error) bool) {
		first := true
		for list, err := range pages {
			if err != nil {
				if first && errors.Is(goneOr(err), archive.ErrGone) {
					return
				}
				if context.Cause(ctx) == nil {
					err = fmt.Errorf("list the settings of %s: %w", f.Name, err)
				}
				yield(archive.SettingsPage{}, err)
				return
			}
			first = false
			for i := range list.settings {
				list.settings[i].URN = matchListed(list.settings[i].URN, f.URN)
			}
			if !yield(archive.SettingsPage{Settings: list.settings, Rejected: list.rejected, Count: list.count}, nil) {
				return
			}
		}
	}
}

// matchListed returns the function's listed URN if urn is the same version: one
// of them may lack the suffix ":latest".
func matchListed(urn, listed string) string {
	if urn+":"+latestVersion == listed || urn == listed+":"+latestVersion {
		return listed
	}
	return urn
}

var _ archive.SettingsSource = (*Source)(nil)

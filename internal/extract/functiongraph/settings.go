package functiongraph

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	functiongraph "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/functiongraph/v2/model"

	"archiver/internal/archive"
)

const (
	// maxSettings is the largest page (SDK: ListFunctionAsyncInvokeConfigRequest,
	// limit), fullSettings the page of a source that takes no notice of the
	// limit asked for (page: Querying Asynchronous Execution Notification
	// Settings of a Function's All Versions, limit).
	maxSettings  = 100
	fullSettings = 10

	// Which action guards the settings is named on no page.
	permissionSettings = `to read asynchronous invocation settings (the policy "FunctionGraph ReadOnlyAccess" has it)`
)

// Settings are the asynchronous invocation settings of all versions of a
// function. One that answers 404 has none: whether the function is there is
// told by its invocations.
func (s *Source) Settings(ctx context.Context, f archive.Function) iter.Seq2[archive.SettingsPage, error] {
	return func(yield func(archive.SettingsPage, error) bool) {
		for p := newPager(0, fullSettings); !p.last; {
			marker, limit := p.marker(), strconv.Itoa(maxSettings)
			var list settingList
			err := s.client.call(ctx, functiongraph.GenReqDefForListFunctionAsyncInvokeConfig,
				&model.ListFunctionAsyncInvokeConfigRequest{
					FunctionUrn: f.URN, Marker: &marker, Limit: &limit, ContentType: contentType,
				},
				permissionSettings,
				func(body io.Reader) (err error) {
					list, err = decodeSettings(body)
					return err
				})
			if err == nil {
				err = p.advance(list.answered(p.seed))
			}
			if err != nil {
				if errors.Is(goneOr(err), archive.ErrGone) && p.offset == 0 {
					return
				}
				if context.Cause(ctx) == nil {
					err = fmt.Errorf("ask for the settings of %s: %w", f.Name, err)
				}
				yield(archive.SettingsPage{}, err)
				return
			}
			for i := range list.settings {
				list.settings[i].URN = asListed(list.settings[i].URN, f.URN)
			}
			if !yield(archive.SettingsPage{Settings: list.settings, Rejected: list.rejected, Count: list.count}, nil) {
				return
			}
		}
	}
}

// asListed is the URN of a version as the list of functions has it, where the
// two differ in whether they say that it is the latest.
func asListed(urn, listed string) string {
	if urn+":"+latest == listed || urn == listed+":"+latest {
		return listed
	}
	return urn
}

var _ archive.SettingsSource = (*Source)(nil)

package load

import (
	"context"
	_ "embed" // statements
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

var (
	//go:embed lastsettings.sql
	selectLastSettings string
	//go:embed opensetting.sql
	insertSetting string
	//go:embed askedsettings.sql
	noteSettingsAsked string
)

// SettingsAsked is when the settings of the function were last asked for, or the
// zero time.
func (c *claim) SettingsAsked(ctx context.Context) (time.Time, error) {
	var asked *time.Time
	err := c.store.pool.QueryRow(ctx, `
		SELECT settings_asked_at
		  FROM functions
		 WHERE function_id = $1`, c.function.ID).Scan(&asked)
	if err != nil {
		return time.Time{}, fmt.Errorf("select when the settings of %s were asked for: %w", c.function.Name, err)
	}
	return pg.OrZero(asked), nil
}

// lockSettings blocks other writers of settings, because two claims may bring the
// same version. Writers are few and short. Readers are not blocked.
func lockSettings(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `LOCK TABLE notification_setting_versions IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return fmt.Errorf("lock the settings: %w", err)
	}
	return nil
}

// KeepSettings stores what the source said of the versions of the function. For a
// setting that changed, one transaction closes the row that held and opens the next.
func (c *claim) KeepSettings(ctx context.Context, s archive.FunctionSettings, at time.Time) error {
	return c.fenced(ctx, func(tx pgx.Tx) error {
		last, err := c.lastSettings(ctx, tx, s)
		if err != nil {
			return err
		}
		changes := settingChanges(last, s, at)
		var batch pgx.Batch
		c.queueSettings(&batch, changes, at)
		c.queueRejectedSettings(&batch, s.Rejected, at)
		batch.Queue(noteSettingsAsked, pg.Args{"function": c.function.ID, "at": at})
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("write the settings of %s: %w", c.function.Name, err)
		}
		return nil
	})
}

// lastSettings are the newest rows of the versions that came, and all rows that hold
// now of the function. They stay the newest until the transaction ends.
func (c *claim) lastSettings(ctx context.Context, tx pgx.Tx, s archive.FunctionSettings) ([]lastSetting, error) {
	if err := lockSettings(ctx, tx); err != nil {
		return nil, err
	}
	urns, raw := make([]string, len(s.Settings)), make([]string, len(s.Settings))
	for i := range s.Settings {
		urns[i], raw[i] = s.Settings[i].URN, string(s.Settings[i].Raw)
	}
	return pg.Collect[lastSetting](ctx, tx, "the settings of "+c.function.Name, selectLastSettings, pg.Args{
		"function": c.function.ID, "urn": c.function.URN, "urns": urns, "raw": raw,
	})
}

func (c *claim) queueSettings(batch *pgx.Batch, changes settingsChanged, at time.Time) {
	if n := len(changes.closed); n > 0 {
		ids, to := make([]int64, n), make([]time.Time, n)
		for i, closed := range changes.closed {
			ids[i], to[i] = closed.id, closed.to
		}
		batch.Queue(`
			UPDATE notification_setting_versions v
			   SET valid_to = c.valid_to
			  FROM unnest($1::bigint[], $2::timestamptz[]) AS c (setting_id, valid_to)
			 WHERE v.setting_id = c.setting_id`, ids, to)
	}
	for _, o := range changes.opened {
		batch.Queue(insertSetting, pg.Args{
			"function": c.function.ID, "urn": o.URN, "from": o.from, "at": at,
			"created": pg.OrNull(o.Created), "modified": pg.OrNull(o.Modified),
			"max_event_age": o.MaxEventAge, "max_retries": o.MaxRetries,
			"on_success": o.OnSuccess, "on_failure": o.OnFailure, "status_log": o.StatusLog, "raw": string(o.Raw),
		})
	}
}

// queueRejectedSettings stores what no setting can hold. It belongs to no window.
func (c *claim) queueRejectedSettings(batch *pgx.Batch, rejected []archive.Rejected, at time.Time) {
	if len(rejected) == 0 {
		return
	}
	reasons, payloads := make([]string, len(rejected)), make([]string, len(rejected))
	for i, r := range rejected {
		reasons[i], payloads[i] = pg.Storable(r.Reason), pg.Storable(string(r.Payload))
	}
	batch.Queue(`
		INSERT INTO rejected_records (function_id, reason, payload, rejected_at)
		SELECT $1, r.reason, r.payload, $4
		  FROM unnest($2::text[], $3::text[]) AS r (reason, payload)
		    ON CONFLICT (function_id, md5(payload)) DO NOTHING`,
		c.function.ID, reasons, payloads, at)
}

// goneSettings closes all settings of a function that the source no longer knows. If
// the function comes back, its settings are asked for at once.
func (c *claim) goneSettings(ctx context.Context, tx pgx.Tx, at time.Time) error {
	last, err := c.lastSettings(ctx, tx, archive.FunctionSettings{})
	if err != nil {
		return err
	}
	var batch pgx.Batch
	c.queueSettings(&batch, settingChanges(last, archive.FunctionSettings{Whole: true}, at), at)
	batch.Queue(`UPDATE functions SET settings_asked_at = NULL WHERE function_id = $1`, c.function.ID)
	if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("close the settings of %s: %w", c.function.Name, err)
	}
	return nil
}

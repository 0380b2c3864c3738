package load

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"archiver/internal/archive"
	"archiver/internal/load/pg"
)

// SettingsAsked is when the function's settings were asked for last.
func (c *claim) SettingsAsked(ctx context.Context) (time.Time, error) {
	var asked *time.Time
	err := c.store.pool.QueryRow(ctx, `
		SELECT settings_asked_at
		  FROM functions
		 WHERE function_id = $1`, c.function.ID).Scan(&asked)
	if err != nil {
		return time.Time{}, fmt.Errorf("select when the settings of %s were asked for: %w", c.function.Name, err)
	}
	if asked == nil {
		return time.Time{}, nil
	}
	return *asked, nil
}

// lockSettings keeps other writers of settings waiting: two claims may bring
// the same version. They are few and short, and whoever reads does not wait.
func lockSettings(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `LOCK TABLE archiver_internal.notification_setting_versions IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return fmt.Errorf("lock the settings: %w", err)
	}
	return nil
}

// KeepSettings keeps what the source said of the function's versions. What
// changed closes the row that held and opens the next, in one transaction.
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
		// The answer is for the function's other versions as well. Who writes
		// rows of several takes the latest's first.
		batch.Queue(`
			UPDATE functions f
			   SET settings_asked_at = $2
			  FROM (
				SELECT function_id
				  FROM functions
				 WHERE function_id = $1 OR latest_id = $1
				 ORDER BY latest_id IS NOT NULL, function_urn
				   FOR NO KEY UPDATE) v
			 WHERE v.function_id = f.function_id`, c.function.ID, at)
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return fmt.Errorf("write the settings of %s: %w", c.function.Name, err)
		}
		return nil
	})
}

// lastSettings are the newest rows of the versions that came, and all that hold
// now of the function. Nobody else writes settings before the transaction ends.
func (c *claim) lastSettings(ctx context.Context, tx pgx.Tx, s archive.FunctionSettings) ([]lastSetting, error) {
	if err := lockSettings(ctx, tx); err != nil {
		return nil, err
	}
	urns, raw := make([]string, len(s.Settings)), make([]string, len(s.Settings))
	for i := range s.Settings {
		urns[i], raw[i] = s.Settings[i].URN, string(s.Settings[i].Raw)
	}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (v.function_urn)
		       v.setting_id, v.function_urn, v.valid_from, v.valid_to, COALESCE(v.raw = n.raw::jsonb, false)
		  FROM functions f
		  JOIN archiver_internal.notification_setting_versions v USING (provider, region, project_id)
		  LEFT JOIN unnest($3::text[], $4::text[]) AS n (urn, raw) ON n.urn = v.function_urn
		 WHERE f.function_id = $1
		   AND (n.urn IS NOT NULL OR v.valid_to IS NULL AND (v.function_id = $1 OR v.function_urn = $2))
		 ORDER BY v.function_urn, v.valid_from DESC`,
		c.function.ID, c.function.URN, urns, raw)
	if err != nil {
		return nil, fmt.Errorf("select the settings of %s: %w", c.function.Name, err)
	}
	last, err := pgx.CollectRows(rows, pgx.RowToStructByPos[lastSetting])
	if err != nil {
		return nil, fmt.Errorf("read the settings of %s: %w", c.function.Name, err)
	}
	return last, nil
}

func (c *claim) queueSettings(batch *pgx.Batch, changes settingsChanged, at time.Time) {
	if n := len(changes.closed); n > 0 {
		ids, to := make([]int64, n), make([]time.Time, n)
		for i, closed := range changes.closed {
			ids[i], to[i] = closed.id, closed.to
		}
		batch.Queue(`
			UPDATE archiver_internal.notification_setting_versions v
			   SET valid_to = c.valid_to
			  FROM unnest($1::bigint[], $2::timestamptz[]) AS c (setting_id, valid_to)
			 WHERE v.setting_id = c.setting_id`, ids, to)
	}
	for _, o := range changes.opened {
		batch.Queue(`
			INSERT INTO archiver_internal.notification_setting_versions (
			       function_id, provider, region, project_id, function_urn, valid_from, seen_at, created_time, last_modified,
			       max_async_event_age_in_seconds, max_async_retry_attempts,
			       on_success_destination, on_failure_destination, enable_async_status_log, raw)
			SELECT function_id, provider, region, project_id, $2, $3, $4, $5, $6,
			       NULLIF($7, -1), NULLIF($8, -1), NULLIF($9, ''), NULLIF($10, ''), $11, $12::text::jsonb
			  FROM functions
			 WHERE function_id = $1`,
			c.function.ID, o.URN, o.from, at, pg.OrNull(o.Created), pg.OrNull(o.Modified),
			o.MaxEventAge, o.MaxRetries, o.OnSuccess, o.OnFailure, o.StatusLog, string(o.Raw))
	}
}

// queueRejectedSettings keeps aside what is no setting, of no window.
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

// goneSettings are those of a function that the source does not know any more:
// none. Should it be back, they are asked for at once.
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

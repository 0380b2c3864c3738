-- The versions of a function beside the latest, and its aliases.

-- +goose Up

-- A version is a function of its own, whose latest_id is that of the function
-- as its source lists it. versions_at and versions_mark are of the latter: when
-- its versions were listed, and the source's word for its last change then.
--
-- covered_since is set while all that the source gives for a version was found
-- in the archive under another one, when last looked at, at covered_at, in hours
-- that end at covered_to: it is not asked for beside that.
ALTER TABLE functions
    ADD COLUMN latest_id     integer REFERENCES functions,
    ADD COLUMN versions_at   timestamptz,
    ADD COLUMN versions_mark text COLLATE "C",
    ADD COLUMN covered_at    timestamptz,
    ADD COLUMN covered_to    timestamptz,
    ADD COLUMN covered_since timestamptz;

CREATE INDEX functions_latest ON functions (latest_id) WHERE latest_id IS NOT NULL;

-- Other names of versions, as the source had them when last_seen.
CREATE TABLE function_aliases (
    function_id         integer NOT NULL REFERENCES functions,
    alias_name          text COLLATE "C" NOT NULL,
    version             text COLLATE "C" NOT NULL,
    description         text,
    additional_versions jsonb,
    last_seen           timestamptz NOT NULL,
    PRIMARY KEY (function_id, alias_name)
);

-- A function's URN ends in its version: urn:fss:region:project:function:package:name:version.
CREATE VIEW function_versions AS
SELECT v.provider,
       v.region,
       v.project_id,
       v.function_name,
       v.function_urn,
       v.version,
       ARRAY (
	SELECT a.alias_name
	  FROM function_aliases a
	 WHERE a.function_id = COALESCE(v.latest_id, v.function_id) AND a.version = v.version
	 ORDER BY a.alias_name) AS aliases,
       v.covered_since,
       v.first_seen,
       v.last_seen,
       v.gone_at
  FROM (
	SELECT *, NULLIF(split_part(function_urn, ':', 8), '') AS version
	  FROM functions) v;

-- +goose Down

DROP VIEW function_versions;
DROP TABLE function_aliases;
DROP INDEX functions_latest;
ALTER TABLE functions
    DROP COLUMN covered_since,
    DROP COLUMN covered_to,
    DROP COLUMN covered_at,
    DROP COLUMN versions_mark,
    DROP COLUMN versions_at,
    DROP COLUMN latest_id;

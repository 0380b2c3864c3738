-- Whom Grafana of the compose file's demo signs in as: whoever reaches it may run
-- any query, so that it may read and no more. The archiver's migrations grant to
-- archiver_reader, which they find there.
CREATE ROLE archiver_reader NOLOGIN;
CREATE ROLE grafana LOGIN PASSWORD 'grafana' IN ROLE archiver_reader;

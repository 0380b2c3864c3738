-- Grafana of the compose file's demo signs in as this role. Everyone who reaches Grafana may
-- run any query, so the role may only read. archiver.sql has made archiver_reader.
CREATE ROLE grafana LOGIN PASSWORD 'grafana' IN ROLE archiver_reader;

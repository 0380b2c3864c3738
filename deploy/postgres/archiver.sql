-- The archiver's role owns its database, and no more. PostgreSQL's image runs this as the
-- superuser in the database archiver, once, while it sets itself up.
\getenv password ARCHIVER_PASSWORD
CREATE ROLE archiver_reader NOLOGIN;
CREATE ROLE archiver LOGIN PASSWORD :'password';
ALTER DATABASE archiver OWNER TO archiver;

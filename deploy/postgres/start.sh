#!/bin/bash
# Starts PostgreSQL of docker-compose.yml. At the first start, archiver.sql makes the role
# archiver with a password that is in no file of the repository: POSTGRES_PASSWORD, or one
# that is made here. The archiver finds it in /run/archiver, a volume of these two services.
# The superuser signs in from within this container alone, without a password.
set -euo pipefail
umask 022

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

file=/run/archiver/pgpass
mkdir -p "${file%/*}"
if [[ -s $file ]]; then
    ARCHIVER_PASSWORD=$(sed 's/^[^:]*:[^:]*:[^:]*:[^:]*://; s/\\\(.\)/\1/g' "$file")
    if [[ ${POSTGRES_PASSWORD:-$ARCHIVER_PASSWORD} != "$ARCHIVER_PASSWORD" ]]; then
        echo "POSTGRES_PASSWORD is not the password of the first start: unset it, or ALTER ROLE archiver PASSWORD and delete $file" >&2
        exit 1
    fi
else
    ARCHIVER_PASSWORD=${POSTGRES_PASSWORD:-$(random)}
    # The form of https://www.postgresql.org/docs/current/libpq-pgpass.html
    printf '*:*:*:archiver:%s\n' "$(sed 's/[\\:]/\\&/g' <<<"$ARCHIVER_PASSWORD")" >"$file.part"
    mv "$file.part" "$file"
fi
export ARCHIVER_PASSWORD
POSTGRES_PASSWORD=$(random)
export POSTGRES_PASSWORD

exec docker-entrypoint.sh postgres "$@"

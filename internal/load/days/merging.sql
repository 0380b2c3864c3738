SELECT EXISTS (SELECT FROM pg_publication_tables WHERE schemaname = @schema AND tablename = @name),
       (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
          FROM pg_attribute
         WHERE attrelid = 'invocations'::regclass AND attnum > 0 AND NOT attisdropped),
       pg_get_partition_constraintdef('invocations_dated'::regclass)

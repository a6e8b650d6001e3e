-- All that a database is made of, a line each, in an order that does not depend on how it came about:
-- of two that are to be the same, this is the same.
SELECT format('column %s.%s %s%s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
              CASE WHEN a.attnotnull THEN ' NOT NULL' END,
              CASE WHEN a.attcompression <> '' THEN ' ' || a.attcompression::text END,
              ' ' || o.collname, ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    LEFT JOIN pg_collation o ON o.oid = a.attcollation
    WHERE c.relkind IN ('r', 'v') AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT format('view %s %s', viewname, definition) FROM pg_views WHERE schemaname = 'public'
UNION ALL
SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT format('table %s of %s %s %s', relname, relowner::regrole, relacl, reloptions) FROM pg_class
    WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace
UNION ALL
SELECT format('trigger %s', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT format('function %s of %s %s %s', p.oid::regprocedure, proowner::regrole, proacl, md5(prosrc)) FROM pg_proc p
    WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
UNION ALL
SELECT format('comment %s.%s %s', c.relname, a.attname, description) FROM pg_description
    JOIN pg_class c ON c.oid = objoid AND c.relnamespace = 'public'::regnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = objoid AND a.attnum = objsubid
    WHERE classoid = 'pg_class'::regclass
ORDER BY line;

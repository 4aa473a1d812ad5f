-- A journal as version 1 writes it, with a run that waits for consent.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1333097554;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE event(
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, seq INTEGER NOT NULL,
    at REAL NOT NULL, epoch INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run, seq)
);
INSERT INTO "event" VALUES(1,1,1.79539082160219049455e+09,1,CAST('{"kind":"run_started","run":"h4kqmmaap5","task":"See how warm it is, then pay 3.","agent":"agent","model":"qwen/qwen3-14b","messages":[{"role":"user","content":"See how warm it is, then pay 3."}],"limits":{"turns":25,"tool_calls":null,"tokens":null,"seconds":600.0,"dollars":"1"},"tools":{"weather":"27d344d9c7cdd6a9","pay":"4cb28a32bd9ab87d"},"policy":"ask before write, egress","version":"0.1.0","schema":1}' AS BLOB));
INSERT INTO "event" VALUES(1,2,1.79539082160462021829e+09,1,CAST('{"kind":"request_sent","number":1,"phase":"work","messages":1,"sha256":"e4f9146391291b55c2adc93d80981cb5909dfc2ae0b4a792a0db2b3b37b7a90c","settings":{"model":"qwen/qwen3-14b","stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"weather","description":"Tomorrow''s weather for a city.","parameters":{"additionalProperties":false,"properties":{"city":{"type":"string"}},"required":["city"],"type":"object"}}},{"type":"function","function":{"name":"pay","description":"Pay an amount.","parameters":{"additionalProperties":false,"properties":{"amount":{"type":"integer"}},"required":["amount"],"type":"object"}}}],"reasoning":{"enabled":true},"session_id":"h4kqmmaap5"}}' AS BLOB));
INSERT INTO "event" VALUES(1,3,1.79539082161095786094e+09,1,CAST('{"kind":"request_accepted","number":1,"generation":"gen-1"}' AS BLOB));
INSERT INTO "event" VALUES(1,4,1.79539082161133790012e+09,1,CAST('{"kind":"replied","number":1,"wire":{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","function":{"name":"weather","arguments":"{\"city\": \"Paris\"}"},"type":"function"}]},"finish":"tool_calls","usage":{"prompt_tokens":10,"completion_tokens":6,"cost":"0.0001"},"model":"qwen/qwen3-14b-04-28","provider":"Fake","generation":"gen-1"}' AS BLOB));
INSERT INTO "event" VALUES(1,5,1.7953908216121590137e+09,1,CAST('{"kind":"tool_started","calls":[{"call":"h4kqmmaap5:1:0","tool":"weather","arguments":{"city":"Paris"},"key":"h4kqmmaap5:1:0","effect":"read","repeat":"safe"}]}' AS BLOB));
INSERT INTO "event" VALUES(1,6,1.79539082161523985865e+09,1,CAST('{"kind":"tool_finished","call":"h4kqmmaap5:1:0","wire":{"role":"tool","tool_call_id":"call_0","content":"Paris: 21 degrees"},"trust":"untrusted"}' AS BLOB));
INSERT INTO "event" VALUES(1,7,1.79539082161568307877e+09,1,CAST('{"kind":"request_sent","number":2,"phase":"work","messages":3,"sha256":"cba8520d9b984fdc0e36801386af62372ad1c45353bfaaf0f586716a1da1824a"}' AS BLOB));
INSERT INTO "event" VALUES(1,8,1.79539082161966896062e+09,1,CAST('{"kind":"request_accepted","number":2,"generation":"gen-2"}' AS BLOB));
INSERT INTO "event" VALUES(1,9,1.79539082161993360526e+09,1,CAST('{"kind":"replied","number":2,"wire":{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","function":{"name":"pay","arguments":"{\"amount\": 3}"},"type":"function"}]},"finish":"tool_calls","usage":{"prompt_tokens":10,"completion_tokens":6,"cost":"0.0001"},"model":"qwen/qwen3-14b-04-28","provider":"Fake","generation":"gen-2"}' AS BLOB));
INSERT INTO "event" VALUES(1,10,1.79539082162042188642e+09,1,CAST('{"kind":"approval_asked","call":"h4kqmmaap5:2:0","tool":"pay","arguments":{"amount":3},"why":"its effect is write"}' AS BLOB));
INSERT INTO "event" VALUES(1,11,1.79539082162066340447e+09,1,CAST('{"kind":"run_paused","reason":"approval"}' AS BLOB));
CREATE TABLE inbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    at REAL NOT NULL, body BLOB NOT NULL, taken INTEGER
);
CREATE TABLE owner(
    id TEXT PRIMARY KEY, host TEXT NOT NULL, boot TEXT NOT NULL, space TEXT NOT NULL,
    pid INTEGER NOT NULL, started INTEGER NOT NULL, beat INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE run(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created REAL NOT NULL, updated REAL NOT NULL,
    owner TEXT REFERENCES owner, epoch INTEGER NOT NULL,
    agent TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', task TEXT NOT NULL DEFAULT '',
    outcome TEXT NOT NULL DEFAULT '', turns INTEGER NOT NULL DEFAULT 0, tool_calls INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens INTEGER NOT NULL DEFAULT 0, cached_tokens INTEGER NOT NULL DEFAULT 0,
    cost TEXT, seconds REAL NOT NULL DEFAULT 0
);
INSERT INTO "run" VALUES(1,'h4kqmmaap5',1.79539082160219049455e+09,1.79539082162066340447e+09,NULL,1,'agent','qwen/qwen3-14b','See how warm it is, then pay 3.','paused',2,2,20,12,0,0,'0.0002',0.018);
CREATE INDEX run_owner ON run(owner) WHERE owner IS NOT NULL;
CREATE INDEX inbox_run ON inbox(run);
CREATE INDEX inbox_untaken ON inbox(run) WHERE taken IS NULL;
COMMIT;

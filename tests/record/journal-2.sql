-- A journal as version 2 writes it, with a run that waits for consent; what lies apart was chosen small, from 300 bytes.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 1333097554;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
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
INSERT INTO run VALUES(1,'4d4zhrqj95',1795435082.007919073,1795435082.0256757735,NULL,1,'agent','qwen/qwen3-14b','See how warm it is, then pay 3.','paused',2,2,20,12,0,0,'0.0002',0.017999999999999998639);
CREATE TABLE event(
    run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, seq INTEGER NOT NULL,
    at REAL NOT NULL, epoch INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run, seq)
);
INSERT INTO event VALUES(1,1,1795435082.007919073,1,CAST('{"kind":"run_started"}' AS BLOB));
INSERT INTO event VALUES(1,2,1795435082.012639761,1,CAST('{"kind":"request_sent"}' AS BLOB));
INSERT INTO event VALUES(1,3,1795435082.0187797546,1,CAST('{"kind":"request_accepted","number":1,"generation":"gen-1"}' AS BLOB));
INSERT INTO event VALUES(1,4,1795435082.0191376209,1,CAST('{"kind":"replied"}' AS BLOB));
INSERT INTO event VALUES(1,5,1795435082.020100832,1,CAST('{"kind":"tool_started","calls":[{"call":"4d4zhrqj95:1:0","tool":"weather","arguments":{"city":"Paris"},"key":"4d4zhrqj95:1:0","effect":"read","repeat":"safe"}]}' AS BLOB));
INSERT INTO event VALUES(1,6,1795435082.0209436416,1,CAST('{"kind":"tool_finished","call":"4d4zhrqj95:1:0","wire":{"role":"tool","tool_call_id":"call_0","content":"Paris: 21 degrees"},"trust":"untrusted"}' AS BLOB));
INSERT INTO event VALUES(1,7,1795435082.0214893817,1,CAST('{"kind":"request_sent","number":2,"phase":"work","messages":3,"sha256":"ed9cfc64dc17cad3f5fbfe16a7753b1deaa87bb18bbf4b3354fb2094219807ee"}' AS BLOB));
INSERT INTO event VALUES(1,8,1795435082.0244975089,1,CAST('{"kind":"request_accepted","number":2,"generation":"gen-2"}' AS BLOB));
INSERT INTO event VALUES(1,9,1795435082.0249712467,1,CAST('{"kind":"replied"}' AS BLOB));
INSERT INTO event VALUES(1,10,1795435082.0254771709,1,CAST('{"kind":"approval_asked","call":"4d4zhrqj95:2:0","tool":"pay","arguments":{"amount":3},"why":"its effect is write"}' AS BLOB));
INSERT INTO event VALUES(1,11,1795435082.0256757735,1,CAST('{"kind":"run_paused","reason":"approval"}' AS BLOB));
CREATE TABLE inbox(
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE,
    at REAL NOT NULL, body BLOB NOT NULL, taken INTEGER
);
CREATE TABLE body(
    run INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run, seq),
    FOREIGN KEY(run, seq) REFERENCES event(run, seq) ON DELETE CASCADE
);
INSERT INTO body VALUES(1,1,CAST('{"kind":"run_started","run":"4d4zhrqj95","task":"See how warm it is, then pay 3.","agent":"agent","model":"qwen/qwen3-14b","messages":[{"role":"user","content":"See how warm it is, then pay 3."}],"limits":{"turns":25,"tool_calls":null,"tokens":null,"seconds":600.0,"dollars":"1","repeats":3,"purse":null},"tools":{"weather":"27d344d9c7cdd6a9","pay":"4cb28a32bd9ab87d"},"policy":"ask before write, egress","version":"0.1.0","schema":1}' AS BLOB));
INSERT INTO body VALUES(1,2,CAST('{"kind":"request_sent","number":1,"phase":"work","messages":1,"sha256":"5fd8a37155217142a8e2f202894a83c93ad6dee63b75675467abc65685da9cb9","settings":{"model":"qwen/qwen3-14b","stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"weather","description":"Tomorrow''s weather for a city.","parameters":{"additionalProperties":false,"properties":{"city":{"type":"string"}},"required":["city"],"type":"object"}}},{"type":"function","function":{"name":"pay","description":"Pay an amount.","parameters":{"additionalProperties":false,"properties":{"amount":{"type":"integer"}},"required":["amount"],"type":"object"}}}],"reasoning":{"enabled":true},"temperature":0.6,"top_p":0.95,"top_k":20,"min_p":0,"session_id":"4d4zhrqj95"},"basis":"the price of qwen/qwen3-14b is not known here (outrider models qwen/qwen3-14b looks it up)"}' AS BLOB));
INSERT INTO body VALUES(1,4,CAST('{"kind":"replied","number":1,"wire":{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","function":{"name":"weather","arguments":"{\"city\": \"Paris\"}"},"type":"function"}]},"finish":"tool_calls","usage":{"prompt_tokens":10,"completion_tokens":6,"cost":"0.0001"},"model":"qwen/qwen3-14b-04-28","provider":"Fake","generation":"gen-1"}' AS BLOB));
INSERT INTO body VALUES(1,9,CAST('{"kind":"replied","number":2,"wire":{"role":"assistant","content":null,"tool_calls":[{"id":"call_0","function":{"name":"pay","arguments":"{\"amount\": 3}"},"type":"function"}]},"finish":"tool_calls","usage":{"prompt_tokens":10,"completion_tokens":6,"cost":"0.0001"},"model":"qwen/qwen3-14b-04-28","provider":"Fake","generation":"gen-2"}' AS BLOB));
CREATE TABLE purse(
    name TEXT NOT NULL, day TEXT NOT NULL, spent TEXT NOT NULL, factor TEXT NOT NULL, PRIMARY KEY(name, day)
) WITHOUT ROWID;
CREATE TABLE draw(
    name TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, day TEXT NOT NULL, amount TEXT NOT NULL,
    factor TEXT NOT NULL, PRIMARY KEY(name, run, number)
) WITHOUT ROWID;
CREATE INDEX run_owner ON run(owner) WHERE owner IS NOT NULL;
CREATE INDEX inbox_run ON inbox(run);
CREATE INDEX inbox_untaken ON inbox(run) WHERE taken IS NULL;
COMMIT;

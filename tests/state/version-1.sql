-- A state file as version 1 of its format left it, told as SQL. Never edited: it is the past.
PRAGMA application_id = 1650614644;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "facts" VALUES('id','0123456789abcdef');
CREATE TABLE history (
        sequence INTEGER PRIMARY KEY,
        job      INTEGER NOT NULL,
        at       REAL    NOT NULL,
        step     TEXT    NOT NULL,
        detail   TEXT    NOT NULL DEFAULT ''
    );
INSERT INTO "history" VALUES(1,1,1800000000.0,'add','');
INSERT INTO "history" VALUES(2,2,1800000000.0,'add','');
INSERT INTO "history" VALUES(3,3,1800000000.0,'add','');
INSERT INTO "history" VALUES(4,1,1800000000.0,'intend','{"key":"k1","attempt":1,"sends":1,"intended_at":1800000000.0,"host":"h"}');
INSERT INTO "history" VALUES(5,1,1800000000.0,'resend','{"sends":2}');
INSERT INTO "history" VALUES(6,1,1800000000.0,'accept','{"task_id":"task_1","submitted_at":1800000000.0}');
INSERT INTO "history" VALUES(7,1,1800000000.0,'complete','{"cost":5,"completed_at":1800000000.0,"results":"[[1,\"http://x/1\",1800000009.0,\"images/a.png\",70,\"abababababababababababababababababababababababababababababababab\",8,8,\"PNG\"]]"}');
INSERT INTO "history" VALUES(8,1,1800000000.0,'download','{"results":"[[1,\"http://x/1\",1800000009.0,\"images/a.png\",70,\"abababababababababababababababababababababababababababababababab\",8,8,\"PNG\"]]"}');
INSERT INTO "history" VALUES(9,2,1800000000.0,'intend','{"key":"k1","attempt":1,"sends":1,"intended_at":1800000000.0,"host":"h"}');
INSERT INTO "history" VALUES(10,2,1800000000.0,'resend','{"sends":2}');
INSERT INTO "history" VALUES(11,2,1800000000.0,'accept','{"task_id":"task_1","submitted_at":1800000000.0}');
INSERT INTO "history" VALUES(12,3,1800000000.0,'intend','{"key":"k1","attempt":1,"sends":1,"intended_at":1800000000.0,"host":"h"}');
CREATE TABLE jobs (
        number         INTEGER PRIMARY KEY AUTOINCREMENT,
        entry_id       TEXT    NOT NULL,
        image_index    INTEGER NOT NULL,
        images         INTEGER NOT NULL,
        position       INTEGER NOT NULL,
        active         INTEGER NOT NULL DEFAULT 1,
        status         TEXT    NOT NULL,
        request        TEXT    NOT NULL,
        "references"   TEXT    NOT NULL DEFAULT '',
        references_as  TEXT    NOT NULL DEFAULT '',
        webhook        TEXT    NOT NULL DEFAULT '',
        fingerprint    TEXT    NOT NULL,
        stems          TEXT    NOT NULL,
        tags           TEXT    NOT NULL DEFAULT '',
        estimate       INTEGER NOT NULL,
        attempt        INTEGER NOT NULL DEFAULT 0,
        sends          INTEGER NOT NULL DEFAULT 0,
        retries        INTEGER NOT NULL DEFAULT 0,
        key            TEXT    NOT NULL DEFAULT '',
        extras         TEXT    NOT NULL DEFAULT '',
        host           TEXT    NOT NULL DEFAULT '',
        account        TEXT    NOT NULL DEFAULT '',
        task_id        TEXT    NOT NULL DEFAULT '',
        cost           INTEGER,
        sunk           INTEGER NOT NULL DEFAULT 0,
        error_type     TEXT    NOT NULL DEFAULT '',
        error_message  TEXT    NOT NULL DEFAULT '',
        intended_at    REAL    NOT NULL DEFAULT 0,
        submitted_at   REAL    NOT NULL DEFAULT 0,
        completed_at   REAL    NOT NULL DEFAULT 0,
        results        TEXT    NOT NULL DEFAULT ''
    );
INSERT INTO "jobs" VALUES(1,'a',1,1,0,1,'downloaded','{"model": "m", "n": 1, "prompt": "a cup", "size": "1:1"}','','upload','','61206375707c31','["a"]','',33600000,1,2,0,'k1','','h','','task_1',5,0,'','',1800000000.0,1800000000.0,1800000000.0,'[[1,"http://x/1",1800000009.0,"images/a.png",70,"abababababababababababababababababababababababababababababababab",8,8,"PNG"]]');
INSERT INTO "jobs" VALUES(2,'b',1,1,1,1,'submitted','{"model": "m", "n": 1, "prompt": "a bowl", "size": "1:1"}','','upload','','6120626f776c7c31','["b"]','',33600000,1,2,0,'k1','','h','','task_1',NULL,0,'','',1800000000.0,1800000000.0,0.0,'');
INSERT INTO "jobs" VALUES(3,'c',1,1,2,1,'submitting','{"model": "m", "n": 1, "prompt": "\u7897", "size": "1:1"}','','upload','','e7a2977c31','["c"]','',33600000,1,1,0,'k1','','h','','',NULL,0,'','',1800000000.0,0.0,0.0,'');
CREATE TABLE runs (
        number     INTEGER PRIMARY KEY,
        started_at REAL    NOT NULL,
        ended_at   REAL    NOT NULL DEFAULT 0,
        exit       INTEGER,
        reason     TEXT    NOT NULL DEFAULT '',
        host       TEXT    NOT NULL DEFAULT '',
        version    TEXT    NOT NULL DEFAULT '',
        finished   INTEGER NOT NULL DEFAULT 0
    );
INSERT INTO "runs" VALUES(1,1800000000.0,1800000005.0,5,'left','h','0.1.0',1);
CREATE TABLE selected (number INTEGER PRIMARY KEY);
INSERT INTO "selected" VALUES(1);
INSERT INTO "selected" VALUES(2);
INSERT INTO "selected" VALUES(3);
CREATE TABLE uploads (
        sha256     TEXT NOT NULL,
        host       TEXT NOT NULL,
        url        TEXT NOT NULL,
        expires_at REAL NOT NULL,
        PRIMARY KEY (sha256, host)
    ) WITHOUT ROWID;
INSERT INTO "uploads" VALUES('d1','h','http://h/1',1800000009.0);
CREATE INDEX jobs_by_entry ON jobs (entry_id) WHERE active;
CREATE INDEX jobs_by_fingerprint ON jobs (fingerprint);
CREATE INDEX jobs_in_order ON jobs (position, image_index) WHERE active;
CREATE TRIGGER history_is_kept BEFORE UPDATE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
CREATE TRIGGER history_stays BEFORE DELETE ON history
    BEGIN SELECT RAISE(ABORT, 'history is append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',3);
COMMIT;

-- A store of schema version 2, made by: sqlite3 runs.db .dump (user_version and application_id added).
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE model (
  digest TEXT PRIMARY KEY NOT NULL, -- sha256 of program and parameters
  path TEXT NOT NULL,               -- where it was seen last
  format TEXT NOT NULL,             -- pdmodel, model, pir, ...; '' not known
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  last_seen REAL NOT NULL           -- seconds since 1970
) STRICT, WITHOUT ROWID;
INSERT INTO model VALUES('d1d1','/models/mobilenet/inference.pdmodel','',17000000,1700000000.25);
CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  parent INTEGER REFERENCES run (id) ON DELETE SET NULL, -- the run it repeats
  kind TEXT NOT NULL,           -- quantize, ...
  state TEXT NOT NULL,          -- running, done, failed, cancelled, interrupted
  model_path TEXT NOT NULL,
  model_digest TEXT REFERENCES model (digest), -- NULL: not known (yet)
  model_bytes INTEGER NOT NULL CHECK (model_bytes >= 0),
  plan TEXT NOT NULL,           -- text form of the plan
  method TEXT NOT NULL,
  bits INTEGER NOT NULL CHECK (bits >= 0),
  version TEXT NOT NULL,        -- of qslim
  machine TEXT NOT NULL,        -- model of the CPU
  isa TEXT NOT NULL,            -- of the kernels used
  threads INTEGER NOT NULL CHECK (threads >= 0),
  started REAL NOT NULL,        -- seconds since 1970
  seconds REAL NOT NULL,        -- how long it took
  bytes_before INTEGER NOT NULL CHECK (bytes_before >= 0),
  bytes_after INTEGER NOT NULL CHECK (bytes_after >= 0),
  output TEXT NOT NULL,         -- folder; '' none
  tag TEXT NOT NULL,
  message TEXT NOT NULL         -- of a failed run
, output_digest TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO run VALUES(1,NULL,'quantize','done','/models/mobilenet/inference.pdmodel','d1d1',17000000,replace('method = weight-only\nbits = 8\n','\n',char(10)),'weight-only',8,'0.1.0','Some CPU @ 2 GHz','avx2',4,1700000000.25,0.125,17000000,4300000,'/out','kept','','0e0e');
INSERT INTO run VALUES(2,1,'quantize','failed','/models/mobilenet/inference.pdmodel','d1d1',17000000,replace('method = weight-only\nbits = 8\n','\n',char(10)),'weight-only',8,'0.1.0','Some CPU @ 2 GHz','avx2',4,1700000000.25,0.0,0,0,'','','cannot read ''x''','');
INSERT INTO run VALUES(3,NULL,'quantize','running','/models/mobilenet/inference.pdmodel',NULL,17000000,replace('method = weight-only\nbits = 8\n','\n',char(10)),'weight-only',8,'0.1.0','Some CPU @ 2 GHz','avx2',4,1700000000.25,0.0,0,0,'','','','');
CREATE TABLE layer (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,    -- 0, 1, ... in the order of the model
  weight TEXT NOT NULL,
  op_type TEXT NOT NULL,
  action TEXT NOT NULL,         -- int8, int16, simulated, kept, skipped
  reason TEXT NOT NULL,
  bits INTEGER NOT NULL CHECK (bits >= 0), -- 0: left as it was
  scale_count INTEGER NOT NULL CHECK (scale_count >= 0),
  sqnr_db REAL,                 -- dB; NULL: does not apply
  bytes_before INTEGER NOT NULL CHECK (bytes_before >= 0),
  bytes_after INTEGER NOT NULL CHECK (bytes_after >= 0),
  scale_bytes INTEGER NOT NULL CHECK (scale_bytes >= 0),
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
INSERT INTO layer VALUES(1,0,'conv2d_0.w_0','conv2d','int8','',8,64,41.25,100000,25000,256);
INSERT INTO layer VALUES(1,1,'fc_0.w_0','mul','int16','rule ''fc*''',16,1,1e999,4000,2000,4);
INSERT INTO layer VALUES(1,2,'fc_1.w_0','matmul_v2','kept','too small',0,0,NULL,40,40,0);
INSERT INTO layer VALUES(1,3,'emb','lookup_table_v2','skipped','ein ''Zitat''; -- ä',0,0,-1e999,0,0,0);
INSERT INTO layer VALUES(1,4,'emb','lookup_table_v2','simulated','same name again',8,1073741824,1.000000000000000025e-300,4611686018427387904,9223372036854775807,1);
CREATE TABLE metric (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  value REAL,
  low REAL,                     -- ends of the 95 % interval; NULL: none
  high REAL,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
INSERT INTO metric VALUES(1,0,'top1',0.7125000000000000222,0.69999999999999995559,0.72499999999999997779);
INSERT INTO metric VALUES(1,1,'size_ratio',3.0,NULL,NULL);
INSERT INTO metric VALUES(1,2,'nothing',NULL,-1e999,1e999);
CREATE TABLE file (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0),
  sha256 TEXT NOT NULL,         -- 64 hex digits
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
INSERT INTO file VALUES(1,0,'/out/__model__',12345,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef');
INSERT INTO file VALUES(1,1,replace('/out/name with\nnew line','\n',char(10)),9223372036854775807,'');
CREATE TABLE sensitivity (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,    -- 0, 1, ... worst first
  weight TEXT NOT NULL,
  op_type TEXT NOT NULL,
  mode TEXT NOT NULL,           -- weights, activations, both
  bits INTEGER NOT NULL CHECK (bits >= 0),
  metric REAL,                  -- this layer alone quantized; NULL: not evaluated
  metric_drop REAL,
  others_metric REAL,           -- all but this layer quantized
  others_drop REAL,
  cosine REAL,                  -- of the output of the model
  sqnr_db REAL,                 -- of the output of the layer, its input clean
  accumulated_db REAL,          -- the same, all layers quantized
  weight_db REAL,               -- of the weight
  bytes_float INTEGER NOT NULL CHECK (bytes_float >= 0),
  bytes_quant INTEGER NOT NULL CHECK (bytes_quant >= 0),
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;
INSERT INTO sensitivity VALUES(1,0,'conv2d_0.w_0','conv2d','both',8,0.69999999999999995559,0.012500000000000000693,NULL,NULL,0.99909999999999998809,31.5,28.25,41.25,100000,25256);
INSERT INTO sensitivity VALUES(1,1,'fc_0.w_0','mul','weights',4,NULL,NULL,0.5,-0.25,NULL,1e999,-1e999,NULL,0,9223372036854775807);
CREATE TABLE activation (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,    -- 0, 1, ... in the order of the model
  var TEXT NOT NULL,
  op_type TEXT NOT NULL,        -- that reads it
  min REAL,
  max REAL,
  n_samples INTEGER NOT NULL CHECK (n_samples >= 0),
  n_bad INTEGER NOT NULL CHECK (n_bad >= 0), -- samples left out: NaN or infinity
  algo TEXT NOT NULL,           -- that was taken
  threshold REAL,
  sqnr_db REAL,                 -- at that threshold
  width REAL,                   -- of a bin of |x|
  count BLOB NOT NULL,          -- of each bin, 4 bytes
  thresholds TEXT NOT NULL,     -- of all algorithms: 'abs_max=1.25 KL=0.98'
  PRIMARY KEY (run, position)
) STRICT;
INSERT INTO activation VALUES(1,0,'relu_0.tmp_0','conv2d',0.0,6.5,64,1,'KL',5.75,38.499999999999999999,0.0078125,X'01000000ffffff7f00000000','abs_max=6.5 KL=5.75');
INSERT INTO activation VALUES(1,1,'constant','',NULL,NULL,0,0,'',NULL,NULL,NULL,X'','');
CREATE TABLE checkpoint (
  run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  data BLOB NOT NULL,           -- what the run goes on from
  PRIMARY KEY (run, position)
) STRICT;
INSERT INTO checkpoint VALUES(2,0,X'00ff');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('run',3);
CREATE INDEX run_model ON run (model_digest);
CREATE INDEX run_parent ON run (parent) WHERE parent IS NOT NULL;
CREATE INDEX run_running ON run (state) WHERE state = 'running';
PRAGMA application_id = 0x51534C4D;
PRAGMA user_version = 2;
COMMIT;

-- Written by the first shape of the database; never edited.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE artifact_files (
	artifact_digest VARCHAR(64) NOT NULL, 
	path VARCHAR NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	CONSTRAINT pk_artifact_files PRIMARY KEY (artifact_digest, path), 
	CONSTRAINT fk_artifact_files_artifact_digest FOREIGN KEY(artifact_digest) REFERENCES artifacts (digest)
);
INSERT INTO "artifact_files" VALUES('dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','model.mar','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',1);
CREATE TABLE artifacts (
	digest VARCHAR(64) NOT NULL, 
	create_time BIGINT NOT NULL, 
	CONSTRAINT pk_artifacts PRIMARY KEY (digest)
);
INSERT INTO "artifacts" VALUES('dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd',1767225600000000);
CREATE TABLE buckets (
	name VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	metageneration BIGINT NOT NULL, 
	last_generation BIGINT NOT NULL, 
	properties JSON NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	CONSTRAINT pk_buckets PRIMARY KEY (name)
);
CREATE TABLE deployed_models (
	id VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	endpoint_id VARCHAR NOT NULL, 
	model_project VARCHAR NOT NULL, 
	model_location VARCHAR NOT NULL, 
	model_id VARCHAR NOT NULL, 
	version_id BIGINT NOT NULL, 
	display_name VARCHAR NOT NULL, 
	resources JSON NOT NULL, 
	kept JSON NOT NULL, 
	state VARCHAR NOT NULL, 
	wanted_split JSON NOT NULL, 
	operation VARCHAR NOT NULL, 
	create_time BIGINT NOT NULL, 
	CONSTRAINT pk_deployed_models PRIMARY KEY (id), 
	CONSTRAINT fk_deployed_models_model_project_model_location_model_id_version_id FOREIGN KEY(model_project, model_location, model_id, version_id) REFERENCES model_versions (project, location, model_id, version_id), 
	CONSTRAINT fk_deployed_models_project_location_endpoint_id FOREIGN KEY(project, location, endpoint_id) REFERENCES endpoints (project, location, endpoint_id)
);
INSERT INTO "deployed_models" VALUES('8','p','us-central1','7','p','us-central1','m',2,'','{"machine_type": "", "accelerator_type": "", "accelerator_count": 0, "min_replica_count": 1, "max_replica_count": 1, "kept": {}}','{}','deployed','{}','projects/p/locations/us-central1/endpoints/7/operations/9',1767225600000000);
CREATE TABLE endpoint_labels (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	endpoint_id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	CONSTRAINT pk_endpoint_labels PRIMARY KEY (project, location, endpoint_id, "key"), 
	CONSTRAINT fk_endpoint_labels_project_location_endpoint_id FOREIGN KEY(project, location, endpoint_id) REFERENCES endpoints (project, location, endpoint_id) ON DELETE CASCADE
);
CREATE TABLE endpoints (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	endpoint_id VARCHAR NOT NULL, 
	display_name VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	traffic_split JSON NOT NULL, 
	kept JSON NOT NULL, 
	etag VARCHAR NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	CONSTRAINT pk_endpoints PRIMARY KEY (project, location, endpoint_id)
);
INSERT INTO "endpoints" VALUES('p','us-central1','7','e','','{"8": 100}','{}','1',1767225600000000,1767225600000000);
CREATE TABLE model_labels (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	model_id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	CONSTRAINT pk_model_labels PRIMARY KEY (project, location, model_id, "key"), 
	CONSTRAINT fk_model_labels_project_location_model_id FOREIGN KEY(project, location, model_id) REFERENCES models (project, location, model_id) ON DELETE CASCADE
);
INSERT INTO "model_labels" VALUES('p','us-central1','m','team','a');
CREATE TABLE model_versions (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	model_id VARCHAR NOT NULL, 
	version_id BIGINT NOT NULL, 
	description VARCHAR NOT NULL, 
	artifact_uri VARCHAR NOT NULL, 
	artifact_digest VARCHAR(64), 
	container JSON, 
	kept JSON NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	CONSTRAINT pk_model_versions PRIMARY KEY (project, location, model_id, version_id), 
	CONSTRAINT fk_model_versions_artifact_digest FOREIGN KEY(artifact_digest) REFERENCES artifacts (digest), 
	CONSTRAINT fk_model_versions_project_location_model_id FOREIGN KEY(project, location, model_id) REFERENCES models (project, location, model_id) ON DELETE CASCADE
);
INSERT INTO "model_versions" VALUES('p','us-central1','m',1,'number 1','gs://models/first','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','{"image_uri": "", "command": [], "args": [], "env": [{"name": "A", "value": "1"}], "ports": [], "grpc_ports": [], "predict_route": "", "health_route": "", "kept": {}}','{}',1767225600000000,1767225600000000);
INSERT INTO "model_versions" VALUES('p','us-central1','m',2,'number 2','gs://models/first','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','{"image_uri": "", "command": [], "args": [], "env": [{"name": "A", "value": "1"}], "ports": [], "grpc_ports": [], "predict_route": "", "health_route": "", "kept": {}}','{}',1767225600000000,1767225600000000);
CREATE TABLE models (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	model_id VARCHAR NOT NULL, 
	display_name VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	next_version BIGINT NOT NULL, 
	etag VARCHAR NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	CONSTRAINT pk_models PRIMARY KEY (project, location, model_id)
);
INSERT INTO "models" VALUES('p','us-central1','m','m','',3,'1',1767225600000000,1767225600000000);
CREATE TABLE objects (
	bucket VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	generation BIGINT NOT NULL, 
	metageneration BIGINT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	crc32c BIGINT NOT NULL, 
	md5 VARCHAR(32) NOT NULL, 
	properties JSON NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	CONSTRAINT pk_objects PRIMARY KEY (bucket, name), 
	CONSTRAINT fk_objects_bucket FOREIGN KEY(bucket) REFERENCES buckets (name)
);
CREATE TABLE operations (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	operation_id VARCHAR NOT NULL, 
	resource VARCHAR NOT NULL, 
	metadata JSON NOT NULL, 
	done BOOLEAN NOT NULL, 
	error_code INTEGER NOT NULL, 
	error_message VARCHAR NOT NULL, 
	response JSON NOT NULL, 
	create_time BIGINT NOT NULL, 
	update_time BIGINT NOT NULL, 
	CONSTRAINT pk_operations PRIMARY KEY (project, location, operation_id)
);
INSERT INTO "operations" VALUES('p','us-central1','9','endpoints/7','{"kind": "DeployModel", "warnings": ["a"]}',1,0,'','{"deployed_model": "8"}',1767225600000000,1767225600000000);
CREATE TABLE upload_sessions (
	id VARCHAR NOT NULL, 
	bucket VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	properties JSON NOT NULL, 
	conditions JSON NOT NULL, 
	checksums JSON NOT NULL, 
	generation BIGINT NOT NULL, 
	create_time BIGINT NOT NULL, 
	CONSTRAINT pk_upload_sessions PRIMARY KEY (id), 
	CONSTRAINT fk_upload_sessions_bucket FOREIGN KEY(bucket) REFERENCES buckets (name)
);
CREATE TABLE version_aliases (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	model_id VARCHAR NOT NULL, 
	alias VARCHAR NOT NULL, 
	version_id BIGINT NOT NULL, 
	CONSTRAINT pk_version_aliases PRIMARY KEY (project, location, model_id, alias), 
	CONSTRAINT fk_version_aliases_project_location_model_id_version_id FOREIGN KEY(project, location, model_id, version_id) REFERENCES model_versions (project, location, model_id, version_id) ON DELETE CASCADE
);
INSERT INTO "version_aliases" VALUES('p','us-central1','m','default',1);
INSERT INTO "version_aliases" VALUES('p','us-central1','m','golden',2);
CREATE TABLE version_labels (
	project VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	model_id VARCHAR NOT NULL, 
	version_id BIGINT NOT NULL, 
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	CONSTRAINT pk_version_labels PRIMARY KEY (project, location, model_id, version_id, "key"), 
	CONSTRAINT fk_version_labels_project_location_model_id_version_id FOREIGN KEY(project, location, model_id, version_id) REFERENCES model_versions (project, location, model_id, version_id) ON DELETE CASCADE
);
INSERT INTO "version_labels" VALUES('p','us-central1','m',2,'stage','new');
CREATE INDEX ix_endpoints_project_location_display_name ON endpoints (project, location, display_name);
CREATE INDEX ix_models_project_location_create_time ON models (project, location, create_time);
CREATE INDEX ix_models_project_location_display_name ON models (project, location, display_name);
CREATE INDEX ix_models_project_location_update_time ON models (project, location, update_time);
CREATE INDEX ix_operations_project_location_resource ON operations (project, location, resource);
CREATE INDEX ix_artifact_files_sha256 ON artifact_files (sha256);
CREATE INDEX ix_endpoint_labels_project_location_key_value ON endpoint_labels (project, location, "key", value);
CREATE INDEX ix_model_labels_project_location_key_value ON model_labels (project, location, "key", value);
CREATE INDEX ix_model_versions_artifact_digest ON model_versions (artifact_digest);
CREATE INDEX ix_objects_sha256 ON objects (sha256);
CREATE INDEX ix_deployed_models_project_location_endpoint_id ON deployed_models (project, location, endpoint_id);
CREATE INDEX ix_version_labels_project_location_key_value ON version_labels (project, location, "key", value);
COMMIT;

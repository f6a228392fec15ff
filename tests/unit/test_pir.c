/* SPDX-License-Identifier: Apache-2.0 */
/* PIR programs: small documents and the classic nodes they become; documents that must fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "io/format.h"

extern const struct qs_format qs_format_pir;

/* Documents are written with ' for ". */
#define HEAD                                                                           \
    "{'base_code':{'magic':'pir','trainable':true,'version':1},'program':{'regions':[" \
    "{'#':'region_0','blocks':[{'#':'block_0','args':[],'ops':["
#define TAIL "]}]}]}}"
#define T(elem, dims) "'TT':{'#':'0.t_dtensor','D':[{'#':'0.t_" elem "'},[" dims "],'NCHW',[],0]}"
#define OUT(id, dims) "{'%':" id "," T("f32", dims) "}"
#define INTS_OUT(id, dims) "{'%':" id "," T("i64", dims) "}"
#define ATTR(name, kind, value) "{'N':'" name "','AT':{'#':'" kind "','D':" value "}}"
#define ARRAY(kind, value) "{'#':'" kind "','D':" value "}"
#define OP(id, attrs, in, out) "{'#':'" id "','A':[" attrs "],'I':[" in "],'O':[" out "]}"
#define IN(id) "{'%':" id "}"
#define DATA(id, dims) OP("1.data", ATTR("name", "0.a_str", "'x" id "'"), "", OUT(id, dims))
#define FETCH(id)                                                                         \
    OP("1.fetch", ATTR("name", "0.a_str", "'o'") "," ATTR("col", "0.a_i32", "0"), IN(id), \
       OUT("999", ""))
#define PARAM(id, name, dims) \
    "{'#':'p','A':[0,1,1,'" name "'],'DA':[],'O':" OUT(id, dims) ",'OA':[1,0,1],'QA':[]}"
#define FULL(id, value)                                                                   \
    OP("1.full",                                                                          \
       ATTR("shape", "1.a_intarray", "[1]") "," ATTR("value", "0.a_f64", value) "," ATTR( \
           "dtype", "1.a_dtype", "'float32'"),                                            \
       "", OUT(id, "1"))
#define LIST(id, values)                                                                         \
    OP("1.full_int_array",                                                                       \
       ATTR("value", "0.a_array", "[" values "]") "," ATTR("dtype", "1.a_dtype", "'int64'"), "", \
       INTS_OUT(id, "2"))
#define I64(v) ARRAY("0.a_i64", v)

static char *
quoted(const char *doc)
{
    char *s = strdup(doc);
    for (char *p = s; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return s;
}

static struct qs_model *
read_text(struct qs_ctx *cx, const char *doc)
{
    char *text = quoted(doc);
    struct qs_buf *b = NULL;
    struct qs_model *m = qs_model_new();
    qs_ctx_init(cx);
    assert_int_equal(qs_buf_new(cx, strlen(text), &b), QS_OK);
    memcpy(b->data, text, b->size);
    assert_true(qs_format_pir.probe(b->data, b->size));
    const enum qs_err err = qs_format_pir.read(cx, b, m);
    qs_buf_unref(b);
    free(text);
    if (err) {
        assert_int_not_equal(cx->message[0], '\0');
        qs_model_unref(m);
        return NULL;
    }
    return m;
}

static void
print_numbers(struct qs_str *s, const struct qs_attr *a)
{
    if (a->type == QS_ATTR_INTS || a->type == QS_ATTR_LONGS || a->type == QS_ATTR_FLOATS)
        for (int i = 0; i < a->n; i++)
            qs_str_printf(s, "%s%g", i ? "," : "",
                          a->type == QS_ATTR_INTS    ? (double)a->ints[i]
                          : a->type == QS_ATTR_LONGS ? (double)a->longs[i]
                                                     : (double)a->floats[i]);
    else if (a->type == QS_ATTR_FLOAT)
        qs_str_printf(s, "%g", (double)a->f);
    else if (a->type == QS_ATTR_STRING || a->type == QS_ATTR_VAR)
        qs_str_printf(s, "'%s'", a->s.p);
    else
        qs_str_printf(s, "%lld", (long long)a->i);
}

static void
print_slots(struct qs_str *s, const struct qs_model *m, const struct qs_slot *slot, int n)
{
    for (int i = 0; i < n; i++) {
        qs_str_printf(s, " %s=", slot[i].name);
        for (int k = 0; k < slot[i].n; k++)
            qs_str_printf(s, "%s%s", k ? "," : "", m->var[slot[i].var[k]].name);
    }
}

/* "type In=a,b -> Out=c | attr:TYPE=value ..." of each node but feed and fetch, one a line. */
static char *
print_nodes(const struct qs_model *m)
{
    struct qs_str s;
    qs_str_init(&s);
    for (int b = 0; b < m->n_block; b++)
        for (int i = 0; i < m->block[b].n_node; i++) {
            const struct qs_node *n = &m->block[b].node[i];
            if (strcmp(n->type, "feed") == 0 || strcmp(n->type, "fetch") == 0)
                continue;
            qs_str_printf(&s, "%s%s", b ? "  " : "", n->type);
            print_slots(&s, m, n->in, n->n_in);
            qs_str_add(&s, " ->");
            print_slots(&s, m, n->out, n->n_out);
            for (int k = 0; k < n->n_attr; k++) {
                qs_str_printf(&s, "%s%s:%d=", k ? " " : " | ", n->attr[k].name, n->attr[k].type);
                print_numbers(&s, &n->attr[k]);
            }
            qs_str_add(&s, "\n");
        }
    return qs_str_take(&s);
}

static const struct {
    const char *name, *doc, *want;
} cases[] = {
    {"elementwise operators get an axis",
     HEAD DATA("1", "2,3") "," OP("1.add", "", IN("1") "," IN("1"), OUT("2", "2,3")) "," FETCH("2")
         TAIL,
     "elementwise_add X=x1 Y=x1 -> Out=elementwise_add_0.tmp_0 | axis:0=-1\n"},
    {"renamed attributes keep their values",
     HEAD PARAM("2", "w", "3,4") "," DATA("1", "2,3") "," OP(
         "1.matmul",
         ATTR("transpose_x", "0.a_bool", "false") "," ATTR("transpose_y", "0.a_bool", "true"),
         IN("1") "," IN("2"), OUT("3", "2,4")) TAIL,
     "matmul_v2 X=x1 Y=w -> Out=matmul_v2_0.tmp_0 | trans_x:6=0 trans_y:6=1\n"},
    {"lists of numbers become INTS and scopes stay",
     HEAD DATA("1", "1,3,8,8") "," PARAM("2", "w", "4,3,3,3") "," OP(
         "1.conv2d",
         ATTR("strides", "0.a_array",
              "[" ARRAY("0.a_i32", "2") "," ARRAY(
                  "0.a_i32", "2") "]") "," ATTR("groups", "0.a_i32",
                                                "1") "," ATTR("data_format", "0.a_str",
                                                              "'NCHW'") "," ATTR("struct_name",
                                                                                 "0.a_str",
                                                                                 "'/Net/Conv2D/'"),
         IN("1") "," IN("2"), OUT("3", "1,4,4,4")) TAIL,
     "conv2d Filter=w Input=x1 -> Output=conv2d_0.tmp_0 | strides:3=2,2 groups:0=1 "
     "data_format:2='NCHW' op_namescope:2='/Net/Conv2D/'\n"},
    {"running statistics of a batch norm are read and written",
     HEAD DATA("1", "2,3") "," PARAM("2", "m", "3") "," PARAM("3", "v", "3") "," PARAM(
         "4", "s",
         "3") "," PARAM("5", "b",
                        "3") "," OP("1.batch_norm_", ATTR("data_format", "0.a_str", "'NCHW'"),
                                    IN("1") "," IN("2") "," IN("3") "," IN("4") "," IN("5"),
                                    OUT("6", "2,3") "," OUT("7", "3") "," OUT("8", "3") "," OUT(
                                        "9", "3") "," OUT("10", "3")) TAIL,
     "batch_norm Bias=b Mean=m Scale=s Variance=v X=x1 -> MeanOut=m SavedMean=batch_norm_0.tmp_1 "
     "SavedVariance=batch_norm_0.tmp_2 VarianceOut=v Y=batch_norm_0.tmp_0 | "
     "data_layout:2='NCHW'\n"},
    {"constant shape becomes an attribute, XShape is made",
     HEAD DATA("1", "2,3") "," LIST("2", I64("3") "," I64("-1")) "," OP(
         "1.reshape", "", IN("1") "," IN("2"), OUT("3", "3,2")) TAIL,
     "reshape2 X=x1 -> Out=reshape2_0.tmp_0 XShape=reshape2_0.tmp_1 | shape:3=3,-1\n"},
    {"bounds of 64 bits are cut to 32",
     HEAD DATA("1", "2,3") "," LIST("2", I64("1")) "," LIST("3", I64("9223372036854775807")) "," OP(
         "1.slice",
         ATTR("axes", "0.a_array", "[" I64("0") "]") "," ATTR("infer_flags", "0.a_array",
                                                              "[" I64("1") "]"),
         IN("1") "," IN("2") "," IN("3"), OUT("4", "1,3")) TAIL,
     "slice Input=x1 -> Out=slice_0.tmp_0 | starts:3=1 ends:3=2.14748e+09 axes:3=0 "
     "infer_flags:3=1\n"},
    {"constant factor becomes an attribute",
     HEAD DATA("1", "2,3") "," FULL("2", "0.5") "," OP(
         "1.scale",
         ATTR("bias", "0.a_f32", "0.25") "," ATTR("bias_after_scale", "0.a_bool", "true"),
         IN("1") "," IN("2"), OUT("3", "2,3")) TAIL,
     "scale X=x1 -> Out=scale_0.tmp_0 | scale:1=0.5 bias:1=0.25 bias_after_scale:6=1\n"},
    {"constant read as a tensor is made by a node",
     HEAD DATA("1", "2,3") "," FULL("2", "'-inf'") "," OP("1.add", "", IN("1") "," IN("2"),
                                                          OUT("3", "2,3")) TAIL,
     "fill_constant -> Out=fill_constant_0.tmp_0 | shape:11=1 dtype:0=5 value:1=-inf "
     "str_value:2='-inf' force_cpu:6=0 place_type:0=-1\n"
     "elementwise_add X=x1 Y=fill_constant_0.tmp_0 -> Out=elementwise_add_0.tmp_0 | axis:0=-1\n"},
    {"constant that nobody reads is dropped", HEAD DATA("1", "2") "," FULL("2", "1") TAIL, ""},
    {"computed factor goes to the tensor slot",
     HEAD DATA("1", "2,3") "," DATA("2", "1") "," OP("1.scale", "", IN("1") "," IN("2"),
                                                     OUT("3", "2,3")) TAIL,
     "scale ScaleTensor=x2 X=x1 -> Out=scale_0.tmp_0 |"
     "\n"},
    {"computed axes are named by the attribute",
     HEAD DATA("1", "2,3") "," DATA("2", "1") "," OP("1.squeeze", "", IN("1") "," IN("2"),
                                                     OUT("3", "2,3")) TAIL,
     "squeeze2 X=x1 -> Out=squeeze2_0.tmp_0 XShape=squeeze2_0.tmp_1 | axes:13='x2'\n"},
    {"reduction without axes takes all",
     HEAD DATA("1", "2,3") "," LIST("2", "") "," OP("1.mean", ATTR("keepdim", "0.a_bool", "false"),
                                                    IN("1") "," IN("2"), OUT("3", "")) TAIL,
     "reduce_mean X=x1 -> Out=reduce_mean_0.tmp_0 | dim:3= keep_dim:6=0 reduce_all:6=1 "
     "out_dtype:0=-1 in_dtype:0=-1\n"},
    {"lists spread over a slot and come apart again",
     HEAD
         DATA("1", "2") "," DATA("2", "2") "," OP("0.combine", "", IN("1") "," IN("2"), "{'%':3,'TT':{'#':'0.t_vec','D':[]}}") "," FULL(
             "4",
             "0") "," OP("1.concat", "", IN("3") "," IN("4"),
                         OUT("5",
                             "4")) "," OP("1.split_with_num", ATTR("num", "0.a_i32", "2"),
                                          IN("5") "," IN("4"),
                                          "{'%':6,'TT':{'#':'0.t_vec','D':[{'#':'0.t_dtensor','D':["
                                          "{'#':'0.t_f32'},[2],'NCHW',[],0]},"
                                          "{'#':'0.t_dtensor','D':[{'#':'0.t_f32'},[2],'NCHW',[],0]"
                                          "}]}}") "," OP("0.split", "", IN("6"),
                                                         OUT("7", "2") "," OUT(
                                                             "8", "2")) "," OP("1.relu", "",
                                                                               IN("8"),
                                                                               OUT("9", "2")) TAIL,
     "concat X=x1,x2 -> Out=concat_0.tmp_0 | axis:0=0\n"
     "split X=concat_0.tmp_0 -> Out=split_0.tmp_0,split_0.tmp_1 | axis:0=0 num:0=2 sections:3=\n"
     "relu X=split_0.tmp_1 -> Out=relu_0.tmp_0\n"},
    {"in-place result has its own variable when the operand is not read again",
     HEAD DATA("1", "2") "," OP("1.exp", "", IN("1"), OUT("2", "2")) "," OP("1.relu_", "", IN("2"),
                                                                            OUT("3", "2")) TAIL,
     "exp X=x1 -> Out=exp_0.tmp_0\nrelu X=exp_0.tmp_0 -> Out=relu_0.tmp_0\n"},
    {"in-place result overwrites an operand that is read again",
     HEAD DATA("1", "2") "," OP("1.exp", "", IN("1"), OUT("2", "2")) "," OP(
         "1.relu_", "", IN("2"), OUT("3", "2")) "," OP("1.tanh", "", IN("2"), OUT("4", "2")) TAIL,
     "exp X=x1 -> Out=exp_0.tmp_0\nrelu X=exp_0.tmp_0 -> Out=exp_0.tmp_0\n"
     "tanh X=exp_0.tmp_0 -> Out=tanh_0.tmp_0\n"},
    {"made names step aside for parameters",
     HEAD DATA("1", "2") "," PARAM("2", "relu_0.tmp_0", "2") "," OP("1.relu", "", IN("1"),
                                                                    OUT("3", "2")) TAIL,
     "relu X=x1 -> Out=relu_1.tmp_0\n"},
    {"absent operands leave their slot out",
     HEAD DATA("1", "2,3") "," FULL("2", "0.5") "," OP(
         "1.dropout",
         ATTR("mode", "0.a_str", "'upscale_in_train'") "," ATTR("seed", "0.a_i32", "0"),
         IN("1") "," IN("0") "," IN("2"), OUT("3", "2,3") ",{'%':4,'TT':{'#':'NULL'}}") TAIL,
     "dropout X=x1 -> Out=dropout_0.tmp_0 | dropout_prob:1=0.5 "
     "dropout_implementation:2='upscale_in_train'\n"},
    {"shape of 64 bits is cast",
     HEAD DATA("1", "2,3") "," OP("1.shape64", "", IN("1"), INTS_OUT("2", "2")) TAIL,
     "shape Input=x1 -> Out=shape_0.tmp_0\n"
     "cast X=shape_0.tmp_0 -> Out=cast_0.tmp_0 | in_dtype:0=2 out_dtype:0=3\n"},
    {"unknown operator is kept under a name of its own",
     HEAD DATA("1", "2,3") "," OP("3.my_op", ATTR("k", "0.a_i32", "3"), IN("1") "," IN("1"),
                                  OUT("2", "2") "," OUT("3", "2")) TAIL,
     "pd_op.my_op X=x1 X1=x1 -> Out=pd_op.my_op_0.tmp_0 Out1=pd_op.my_op_0.tmp_1 | k:0=3\n"},
    {"if becomes two conditional blocks",
     HEAD DATA("1", "1") "," OP(
         "1.cast", ATTR("dtype", "1.a_dtype", "'bool'"), IN("1"),
         "{'%':2," T(
             "bool",
             "1") "}") ",{'#':'1.if','A':[],'I':[{'%':2}],'O':"
                       "[" OUT(
                           "3",
                           "1") "],'regions':["
                                "{'#':'r','blocks':[{'#':'b','"
                                "args':[],'ops':[" OP("1.exp", "", IN("1"), OUT("4", "1")) "," OP(
                                    "2.yield", "", IN("4"), "") "]}]},"
                                                                "{'#':"
                                                                "'r','"
                                                                "block"
                                                                "s':[{"
                                                                "'#':'"
                                                                "b','"
                                                                "args'"
                                                                ":[],'"
                                                                "ops':"
                                                                "[" OP("2.yield", "", IN("1"),
                                                                       "") "]}]}]}" TAIL,
     "cast X=x1 -> Out=cast_0.tmp_0 | out_dtype:0=0 in_dtype:0=5\n"
     "conditional_block Cond=cast_0.tmp_0 Input=x1 -> Out=conditional_block_0.tmp_0 "
     "Scope=conditional_block_1.scope | is_scalar_condition:6=1 sub_block:8=1\n"
     "logical_not X=cast_0.tmp_0 -> Out=logical_not_0.tmp_0\n"
     "conditional_block Cond=logical_not_0.tmp_0 Input=x1 -> Out=conditional_block_0.tmp_0 "
     "Scope=conditional_block_2.scope | is_scalar_condition:6=1 sub_block:8=2\n"
     "  exp X=x1 -> Out=exp_0.tmp_0\n"
     "  assign X=exp_0.tmp_0 -> Out=conditional_block_0.tmp_0\n"
     "  assign X=x1 -> Out=conditional_block_0.tmp_0\n"},
    {"carried values of a loop change places through copies",
     HEAD DATA("1", "1") "," DATA("2", "1") "," OP(
         "1.cast", ATTR("dtype", "1.a_dtype", "'bool'"), IN("1"),
         "{'%':3," T("bool", "1") "}") ",{'#':'1.while','A':[],'I':[{'%':3},{'%':1},{'%':2}],'O':"
                                       "[" OUT("4",
                                               "1") "," OUT("5",
                                                            "1") "],'regions':[{'#':'r','blocks':[{"
                                                                 "'#':'b','args':[{'#':-"
                                                                 "1," T("f32", "1") "},{'#':-2," T(
                                                                     "f32",
                                                                     "1") "}],'ops':[" OP("2.yield",
                                                                                          "",
                                                                                          IN("3") "," IN(
                                                                                              "-2") "," IN("-1"),
                                                                                          "") "]}]}"
                                                                                              "]"
                                                                                              "}" TAIL,
     "cast X=x1 -> Out=cast_0.tmp_0 | out_dtype:0=0 in_dtype:0=5\n"
     "assign X=cast_0.tmp_0 -> Out=while_0.tmp_0\n"
     "assign X=x1 -> Out=while_0.tmp_1\n"
     "assign X=x2 -> Out=while_0.tmp_2\n"
     "while Condition=while_0.tmp_0 X=cast_0.tmp_0,while_0.tmp_1,while_0.tmp_2 -> "
     "Out=while_0.tmp_1,while_0.tmp_2 StepScopes=while_1.scope | is_test:6=1 sub_block:8=1\n"
     "  assign X=cast_0.tmp_0 -> Out=assign_0.tmp_0\n"
     "  assign X=while_0.tmp_2 -> Out=assign_1.tmp_0\n"
     "  assign X=while_0.tmp_1 -> Out=assign_2.tmp_0\n"
     "  assign X=assign_0.tmp_0 -> Out=while_0.tmp_0\n"
     "  assign X=assign_1.tmp_0 -> Out=while_0.tmp_1\n"
     "  assign X=assign_2.tmp_0 -> Out=while_0.tmp_2\n"},
};

static void
documents_become_classic_nodes(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct qs_ctx cx;
        struct qs_model *m = read_text(&cx, cases[i].doc);
        char *got = m ? print_nodes(m) : strdup(cx.message);
        char *want = strdup(cases[i].want);
        for (char *p; (p = strstr(want, " |\n"));)
            memmove(p, p + 2, strlen(p + 2) + 1);
        if (!m || strcmp(got, want) != 0) {
            print_message("%s:\ngot\n%swant\n%s", cases[i].name, got, want);
            failed++;
        }
        free(got);
        free(want);
        qs_model_unref(m);
    }
    assert_int_equal(failed, 0);
}

static const struct {
    const char *name, *doc, *want; /* part of the message */
} refused[] = {
    {"no JSON", "{'a", "line 1"},
    {"no PIR", "{'a':1}", "magic"},
    {"wrong magic", "{'base_code':{'magic':'pdmodel'},'program':{}}", "magic"},
    {"no block", "{'base_code':{'magic':'pir'},'program':{'regions':[]}}", "one main block"},
    {"blocks of a wrong type", "{'base_code':{'magic':'pir'},'program':{'regions':[{'blocks':7}]}}",
     "one main block"},
    {"no operators", "{'base_code':{'magic':'pir'},'program':{'regions':[{'blocks':[{}]}]}}",
     "list of operators"},
    {"operator of a wrong type", HEAD "3" TAIL, "no name"},
    {"operator without a name", HEAD "{'#':3}" TAIL, "no name"},
    {"undefined operand", HEAD OP("1.relu", "", IN("7"), OUT("1", "2")) TAIL,
     "which nothing makes"},
    {"operand that comes later",
     HEAD OP("1.relu", "", IN("2"), OUT("1", "2")) "," DATA("2", "2") TAIL, "before it is made"},
    {"operand of an inner block",
     HEAD DATA("1", "1") "," OP(
         "1.cast", ATTR("dtype", "1.a_dtype", "'bool'"), IN("1"),
         "{'%':2," T(
             "bool",
             "1") "}") ",{'#':'1.if','A':[],'I':[{'%':2}],'O':[],'regions':[{'blocks':[{'"
                       "ops':[" OP(
                           "1.exp", "", IN("1"),
                           OUT("4", "1")) "]}]},{'blocks':[{'ops':[]}]}]}," OP("1.relu", "",
                                                                               IN("4"),
                                                                               OUT("5", "1")) TAIL,
     "before it is made"},
    {"operand without a number", HEAD OP("1.relu", "", "{'%':'1'}", OUT("1", "2")) TAIL,
     "has no number"},
    {"value without a number", HEAD OP("1.relu", "", "", "{}") TAIL, "has no number"},
    {"value defined twice", HEAD DATA("1", "2") "," DATA("1", "2") TAIL, "defined twice"},
    {"name given twice", HEAD PARAM("1", "w", "2") "," PARAM("2", "w", "2") TAIL, "given twice"},
    {"reserved name", HEAD PARAM("1", "feed", "2") TAIL, "reserve"},
    {"parameter without a name", HEAD "{'#':'p','A':[],'O':" OUT("1", "2") "}" TAIL, "malformed"},
    {"input without a name", HEAD OP("1.data", "", "", OUT("1", "2")) TAIL, "malformed"},
    {"negative dimension", HEAD DATA("1", "-2") TAIL, "type that is not supported"},
    {"dimension of a wrong type", HEAD DATA("1", "'a'") TAIL, "type that is not supported"},
    {"type of a wrong type",
     HEAD OP("1.data", ATTR("name", "0.a_str", "'x'"), "", "{'%':1,'TT':3}") TAIL,
     "type that is not supported"},
    {"attribute that does not fit",
     HEAD DATA("1", "2") "," OP("1.softmax", ATTR("axis", "0.a_i32", "4294967296"), IN("1"),
                                OUT("2", "2")) TAIL,
     "wrong value"},
    {"attribute of a wrong type",
     HEAD DATA("1", "2") "," OP("1.softmax", ATTR("axis", "0.a_i32", "'one'"), IN("1"),
                                OUT("2", "2")) TAIL,
     "wrong value"},
    {"attribute without a name",
     HEAD DATA("1", "2") "," OP("1.relu", "{'AT':1}", IN("1"), OUT("2", "2")) TAIL, "no name"},
    {"attribute of an unknown kind",
     HEAD DATA("1", "2") "," OP("1.relu", ATTR("a", "9.a_new", "1"), IN("1"), OUT("2", "2")) TAIL,
     "not supported"},
    {"computed operand that must be constant",
     HEAD DATA("1", "2") "," DATA("2", "1") "," OP(
         "1.strided_slice", ATTR("axes", "0.a_array", "[" I64("0") "]"),
         IN("1") "," IN("1") "," IN("1") "," IN("0"),
         OUT("3", "2")) "," OP("1.set_value_with_tensor_", "", IN("1") "," IN("2") "," IN("2"),
                               OUT("4", "2")) TAIL,
     "computed by the program"},
    {"list where a tensor is needed",
     HEAD DATA("1", "2") "," OP(
         "0.combine", "", IN("1"),
         "{'%':2,'TT':{'#':'0.t_vec','D':[]}}") "," OP("1.shape64", "", IN("2"), INTS_OUT("3", "1"))
         TAIL,
     "is a list"},
    {"element beyond a list",
     HEAD DATA("1", "2") "," OP(
         "0.combine", "", IN("1"),
         "{'%':2,'TT':{'#':'0.t_vec','D':[]}}") "," OP("0.slice", ATTR("index", "0.a_i32", "1"),
                                                       IN("2"), OUT("3", "1")) TAIL,
     "malformed"},
    {"regions of another operator",
     HEAD "{'#':'1.pylayer','A':[],'I':[],'O':[],'regions':[{'blocks':[{'ops':[]}]}]}" TAIL,
     "'if' and"},
    {"if without regions", HEAD DATA("1", "1") ",{'#':'1.if','A':[],'I':[{'%':1}],'O':[]}" TAIL,
     "lacks its region"},
    {"constant with a fantastic shape that is read",
     HEAD OP("1.full", ATTR("shape", "1.a_intarray", "['x']") "," ATTR("value", "0.a_f64", "1"), "",
             OUT("1", "1")) TAIL,
     "wrong value"},
    {"column that is negative",
     HEAD DATA("1", "2") "," OP("1.fetch", ATTR("col", "0.a_i32", "-1"), IN("1"), "") TAIL,
     "malformed"},
};

static void
bad_documents_are_refused_with_a_sentence(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        struct qs_ctx cx;
        struct qs_model *m = read_text(&cx, refused[i].doc);
        if (m || !strstr(cx.message, refused[i].want)) {
            print_message("%s: got '%s', want '%s'\n", refused[i].name, m ? "a model" : cx.message,
                          refused[i].want);
            failed++;
        }
        qs_model_unref(m);
    }
    assert_int_equal(failed, 0);
}

/* Control flow nested deeper than the reader follows. */
static void
deep_control_flow_is_refused(void **state)
{
    (void)state;
    struct qs_str s;
    struct qs_ctx cx;
    qs_str_init(&s);
    qs_str_add(&s, HEAD);
    for (int i = 0; i < 100; i++)
        qs_str_add(&s, "{'#':'1.if','I':[],'O':[],'regions':[{'blocks':[{'ops':[");
    for (int i = 0; i < 100; i++)
        qs_str_add(&s, "]}]}]}");
    qs_str_add(&s, TAIL);
    assert_null(read_text(&cx, s.s));
    assert_non_null(strstr(cx.message, "nested"));
    qs_str_release(&s);
}

/* A list of many elements that many operators read would make a model far larger than its file. */
static void
lists_that_are_read_again_and_again_are_refused(void **state)
{
    (void)state;
    struct qs_str s;
    struct qs_ctx cx;
    qs_str_init(&s);
    qs_str_add(&s, HEAD DATA("1", "2") ",{'#':'0.combine','A':[],'O':[{'%':2,'TT':"
                                       "{'#':'0.t_vec','D':[]}}],'I':[{'%':1}");
    for (int i = 0; i < 10000; i++)
        qs_str_add(&s, ",{'%':1}");
    qs_str_add(&s, "]}");
    for (int i = 0; i < 1000; i++)
        qs_str_printf(
            &s, ",{'#':'1.add_n','A':[],'I':[{'%%':2}],'O':[{'%%':%d," T("f32", "2") "}]}", i + 3);
    qs_str_add(&s, TAIL);
    assert_null(read_text(&cx, s.s));
    assert_non_null(strstr(cx.message, "too often"));
    qs_str_release(&s);
}

static void
feed_and_fetch_are_as_classic_programs_have_them(void **state)
{
    (void)state;
    struct qs_ctx cx;
    struct qs_model *m =
        read_text(&cx, HEAD PARAM("9", "w", "2") "," DATA("1", "-1,3") "," DATA("2", "1") "," OP(
                           "1.add", "", IN("1") "," IN("2"), OUT("3", "-1,3")) "," FETCH("3") TAIL);
    assert_non_null(m);
    const struct qs_block *b = &m->block[0];
    assert_int_equal(b->n_node, 4);
    assert_string_equal(b->node[0].type, "feed");
    assert_string_equal(b->node[1].type, "feed");
    assert_int_equal(qs_attr_int(&b->node[1], "col", -1), 1);
    assert_string_equal(b->node[3].type, "fetch");
    assert_int_equal(b->parent, -1);
    const struct qs_var *x = &m->var[qs_model_find_var(m, 0, "x1")];
    assert_int_equal(x->need_check_feed, 1);
    assert_int_equal(x->n_dims, 2);
    assert_true(x->dims[0] == -1 && x->dims[1] == 3);
    const struct qs_var *feed = &m->var[qs_model_find_var(m, 0, "feed")];
    assert_int_equal(feed->container, QS_FEED_MINIBATCH);
    assert_int_equal(feed->persistable, 1);
    int n;
    free(qs_model_params(m, &n));
    assert_int_equal(n, 1);
    assert_true(m->version == 2006002);
    qs_model_unref(m);
}

static char *
shared(const char *path)
{
    const char *root = getenv("QSLIM_SHARED"), *src = getenv("srcdir");
    char *p = NULL;
    if (root ? asprintf(&p, "%s/%s", root, path)
             : asprintf(&p, "%s/../shared/%s", src ? src : ".", path))
        return p;
    abort();
}

static const struct {
    const char *path;
    int n_node, n_params;
} models[] = {
    {"models/pir_PP-LCNet_x0_25_textline_ori/inference.json", 108, 145},
    {"models/graph_only/pir_PP-OCRv5_mobile_rec/inference.json", 341, 234},
};

static void
real_models_have_their_nodes_and_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++) {
        char *path = shared(models[i].path);
        if (!qs_exists(path)) {
            print_message("no reference models at %s\n", path);
            free(path);
            skip();
        }
        struct qs_ctx cx;
        struct qs_model *m = NULL;
        int n;
        qs_ctx_init(&cx);
        assert_int_equal(qs_model_read(&cx, path, NULL, &m), QS_OK);
        free(qs_model_params(m, &n));
        assert_int_equal(n, models[i].n_params);
        assert_int_equal(m->block[0].n_node, models[i].n_node);
        for (int k = 0; k < m->block[0].n_node; k++)
            assert_memory_not_equal(m->block[0].node[k].type, "pd_op.", 6);
        qs_model_unref(m);
        free(path);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_become_classic_nodes),
        cmocka_unit_test(bad_documents_are_refused_with_a_sentence),
        cmocka_unit_test(deep_control_flow_is_refused),
        cmocka_unit_test(lists_that_are_read_again_and_again_are_refused),
        cmocka_unit_test(feed_and_fetch_are_as_classic_programs_have_them),
        cmocka_unit_test(real_models_have_their_nodes_and_parameters),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
